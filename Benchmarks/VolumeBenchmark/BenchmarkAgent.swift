import BuildPlan
import Digests
import FarmAPI
import Glibc
import Logging
import Transport
import Volumes
import BlockingIO

/// One agent's volumes in a process of its own: the real store, service, server and client; only the coordinator is a stub.
///
/// Reads commands, one a line, and answers each with one line:
/// - `volume ID`: what follows is about this volume;
/// - `make CASE COUNT`, `change CASE COUNT ROUND`: a step that does so, published: `generation seconds`;
/// - `need GENERATION ADDRESS`: a step needs that generation, which an agent there has: `seconds cpu peak more received generation`;
/// - `calm`: waits until making files is as quick as it should be here: the seconds;
/// - `drop`: the volume goes from this agent;
/// - `mount`: keeps the volume mounted until the next `release`: its path;
/// - `usage`: `cpu peak more`: since the start, and since the last `usage`.
///
/// `peak` is the most memory (VmHWM) in bytes, `more` by how much that is above what the process had at the beginning.
struct BenchmarkAgent {
    private let name: String
    private let setup: Setup
    private let store: VolumeStore
    private let peers: PeerClient

    init(name: String, setup: Setup, data: String) throws {
        self.name = name
        self.setup = setup
        store = try VolumeStore(directory: data)
        peers = PeerClient(identity: setup.identity(of: name))
    }

    func run() async throws {
        let peerServer = PeerServer(store: store, layers: NoLayers(), now: { Timestamp(seconds: Int64(time(nil))) })
        try peerServer.trust(grantKey: setup.grantKey().publicKey)
        let server = HTTPServer(
            configuration: ServerConfiguration(
                host: "127.0.0.1", port: 0, identity: setup.identity(of: name), requiresCertificate: true)
        ) { await peerServer.respond(to: $0) }
        answer("127.0.0.1:\(try await server.start())")
        var session = Session(agent: self)
        while let line = try await BlockingPool.shared.run({ readLine() }) {
            answer(try await session.respond(to: line.split(separator: " ").map(String.init)))
        }
        await session.end()
        await server.shutdown(grace: .zero)
        await peers.close()
    }

    private struct Session {
        let agent: BenchmarkAgent
        private var key = Setup.key("none")
        private var coordinator = StubCoordinator(head: 0)
        private var service: VolumeService?
        private var mounted: VolumeLease?
        private var locks = 0
        /// What the process had when the peak was last reset.
        private var memory = Usage.peak()

        init(agent: BenchmarkAgent) { self.agent = agent }

        mutating func respond(to words: [String]) async throws -> String {
            switch (words.first, words.count) {
            case ("volume", 2):
                await end()
                key = Setup.key(words[1])
                coordinator = StubCoordinator(head: agent.store.generation(of: key))
                var logger = Logger(label: agent.name) { StreamLogHandler.standardError(label: $0) }
                logger.logLevel = .warning
                service = VolumeService(store: agent.store, coordinator: coordinator, peers: agent.peers, logger: logger)
                return "ok"
            case ("make", 3):
                let data = try Dataset(words[1], count: words[2])
                return try await step { try data.make(in: $0) }
            case ("change", 4):
                let data = try Dataset(words[1], count: words[2])
                let round = try Command.number(words[3])
                return try await step { try data.change(in: $0, round: round) }
            case ("need", 3): return try await need(try Command.number(words[1]), from: words[2])
            case ("mount", 1):
                let lease = try await acquire()
                mounted = lease
                return lease.paths[0]
            case ("release", 1):
                if let mounted { try await current().release(mounted) }
                mounted = nil
                await service?.settle()
                return "ok"
            case ("calm", 1): return try await calm()
            case ("drop", 1):
                await end()
                try await current().drop(key)
                return "ok"
            case ("usage", 1):
                let peak = Usage.peak()
                let answer = "\(Usage.processor()) \(peak) \(max(0, peak - memory))"
                Usage.resetPeak()
                memory = Usage.peak()
                return answer
            default: throw BenchmarkError.usage("the command '\(words.joined(separator: " "))' is not there")
            }
        }

        func end() async { await service?.settle() }

        private func current() throws -> VolumeService {
            guard let service else { throw BenchmarkError.usage("no volume was chosen") }
            return service
        }

        private mutating func acquire() async throws -> VolumeLease {
            locks += 1
            return try await current().acquire(
                [VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "\(agent.name)-\(locks)")
        }

        private mutating func step(_ body: @escaping @Sendable (String) throws -> Void) async throws -> String {
            let lease = try await acquire()
            let path = lease.paths[0]
            try await BlockingPool.shared.run { try body(path) }
            let start = ContinuousClock.now
            try await current().release(lease)
            let published = ContinuousClock.now - start
            await service?.settle()
            return "\(agent.store.generation(of: key)) \(published / .seconds(1))"
        }

        private mutating func need(_ generation: Int, from address: String) async throws -> String {
            let holder = Holder(
                agent: "holder", address: address, grant: try agent.setup.grant(for: agent.name, key), generation: generation)
            coordinator.set(head: generation, holders: [holder])
            Usage.resetPeak()
            let memory = Usage.peak()
            let before = Usage.processor()
            let start = ContinuousClock.now
            let lease = try await acquire()
            let elapsed = ContinuousClock.now - start
            let processor = Usage.processor() - before
            let peak = Usage.peak()
            try await current().release(lease)
            await service?.settle()
            let reached = agent.store.generation(of: key)
            return "\(elapsed / .seconds(1)) \(processor) \(peak) \(max(0, peak - memory)) \(lease.bytesReceived) \(reached)"
        }

        /// Files of one probe.
        private static let probes = 50
        /// Processor seconds for one file in a mount; three times of what is usual.
        private static let slow = 75e-6
        private static let patience = Duration.seconds(360)

        /// ext4 without a journal passes over each inode that was freed in the last minute (in the last five, where that is not yet
        /// on the disk) whenever it makes a file: after many were removed, a file costs most of a millisecond. That is not what is measured
        /// here, and it would hit whoever comes first.
        private mutating func calm() async throws -> String {
            let start = ContinuousClock.now
            while true {
                let lease = try await acquire()
                let path = lease.paths[0]
                let before = Usage.processor()
                try await BlockingPool.shared.run {
                    for number in 0..<Self.probes { try File.write([], to: "\(path)/probe-\(number)", time: Dataset.epoch) }
                }
                let each = (Usage.processor() - before) / Double(Self.probes)
                try await current().discard(lease)
                await service?.settle()
                let waited = ContinuousClock.now - start
                if each < Self.slow || waited > Self.patience { return "\(waited / .seconds(1)) \(each)" }
                try await Task.sleep(for: .seconds(5))
            }
        }
    }
}

private struct NoLayers: LayerSource {
    func contains(_ diffID: Digest) -> Bool { false }
    func write(diffID: Digest, to sink: any ByteSink) throws {}
}
