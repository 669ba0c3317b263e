import Foundation
import Synchronization

/// One number of agents, from a new farm to its end.
struct Measurement {
    let agents: Int
    let load: Load
    let program: String
    let folder: String

    /// More connections at once would measure handshakes of the whole farm at the same moment; that is for the joining after a restart.
    private static let joinsAtOnce = 64
    /// All agents are there within this, or something is wrong.
    private static let joinLimit = Duration.seconds(120)
    /// Between submissions while the builds run.
    private static let probePause = Duration.milliseconds(250)

    enum Failure: Error, CustomStringConvertible {
        case agentsMissing(Int, of: Int, log: [String])
        var description: String {
            switch self {
            case .agentsMissing(let joined, let all, let log): "\(joined) of \(all) agents have joined: \(log.suffix(3))"
            }
        }
    }

    func run() async throws -> Figures {
        let coordinator = try await LoadedCoordinator(program: program, folder: folder)
        do {
            let figures = try await measure(coordinator)
            try await coordinator.stop()
            return figures
        } catch {
            try await coordinator.stop()
            throw error
        }
    }

    private func measure(_ coordinator: LoadedCoordinator) async throws -> Figures {
        var figures = Figures(agents: agents)
        let observations = Observations()
        let identities = try await coordinator.identities(agents: agents, folder: folder)
        let port = coordinator.port
        let load = load
        let clients = (0..<load.builds).map {
            LightBuild(number: $0, identity: coordinator.client, port: port, load: load, observations: observations)
        }
        let prober = LightBuild(number: load.builds, identity: coordinator.client, port: port, load: load, observations: observations)
        var start = ContinuousClock.now
        let joined = Counter()
        let farm = Farm()
        for (number, identity) in identities.enumerated() {
            while farm.count - joined.value >= Self.joinsAtOnce, ContinuousClock.now - start < Self.joinLimit {
                try await Task.sleep(for: .milliseconds(1))
            }
            let agent = LightAgent(number: number, identity: identity, port: port, load: load, observations: observations)
            farm.add(Task { await agent.run { joined.add() } })
        }
        while joined.value < agents {
            guard ContinuousClock.now - start < Self.joinLimit else {
                await farm.end()
                throw Failure.agentsMissing(joined.value, of: agents, log: coordinator.warnings)
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        figures.joining = (ContinuousClock.now - start).inSeconds

        // Time for what joining has left to do.
        try await Task.sleep(for: .seconds(2))
        start = .now
        var before = coordinator.usage
        try await Task.sleep(for: .seconds(load.idle))
        var after = coordinator.usage
        if load.idle > 0 {
            figures.idleProcessor = (after.processor - before.processor) / (ContinuousClock.now - start).inSeconds
        }
        figures.joinedMemory = after.memory

        for client in clients { await client.connect() }
        await prober.connect()
        before = coordinator.usage
        let own = ProcessUsage(of: getpid())
        start = .now
        let probes = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.probePause)
                if !Task.isCancelled { await prober.probe() }
            }
        }
        await withDiscardingTaskGroup { group in
            for client in clients { group.addTask { await client.run() } }
        }
        figures.wall = (ContinuousClock.now - start).inSeconds
        after = coordinator.usage
        figures.processorSeconds = after.processor - before.processor
        figures.processor = figures.processorSeconds / figures.wall
        figures.ownProcessor = (ProcessUsage(of: getpid()).processor - own.processor) / figures.wall
        figures.peakMemory = after.peak
        probes.cancel()
        await probes.value

        let seen = observations.current
        figures.submit = Figures.Spread(seen.submits)
        figures.submitLater = Figures.Spread(seen.laterSubmits)
        figures.line = Figures.Spread(seen.lineDelays)
        figures.heartbeat = Figures.Spread(seen.heartbeats)
        figures.heartbeatsMissed = seen.heartbeatsMissed
        figures.lines = seen.lineDelays.count
        figures.errorSamples = seen.samples + coordinator.warnings.prefix(5)
        figures.errors = seen.errors + coordinator.warnings.count
        await farm.end()
        for client in clients + [prober] { await client.close() }
        return figures
    }

    /// Counts from many tasks.
    private final class Counter: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        func add() { count.withLock { $0 += 1 } }
    }

    /// The agents' tasks.
    private final class Farm {
        private var tasks: [Task<Void, Never>] = []
        var count: Int { tasks.count }
        func add(_ task: Task<Void, Never>) { tasks.append(task) }

        func end() async {
            for task in tasks { task.cancel() }
            for task in tasks { await task.value }
        }
    }
}
