import BlockingIO
import Daemon
import Digests
import FarmAPI
import FileTree
import Glibc
import Layers
import Logging
import Sandbox
import Transport
import Volumes

extension LayerStore: LayerSource {}

/// An agent: it takes stages from the coordinator, runs them, and gives layers and volumes to other agents.
public final class AgentService: Sendable {
    /// What runs when the agent is asked to end has ended by then, and the reports of it are stored.
    static let reportGrace = Duration.seconds(2)
    static let serverGrace = Duration.seconds(1)
    /// The cache is cleaned and the disk synchronized so often.
    static let maintenanceInterval = Duration.seconds(10)

    /// Bytes of parts of contexts that are kept for the next bind mount: the sources of a few large projects.
    static let bindLimit: UInt64 = 10 << 30

    /// Where other agents reach this one.
    public let address: Endpoint

    private let parts: AgentParts
    private let server: HTTPServer
    private let logger: Logger

    private init(address: Endpoint, parts: AgentParts, server: HTTPServer, logger: Logger) {
        self.address = address
        self.parts = parts
        self.server = server
        self.logger = logger
    }

    /// Opens everything and begins to serve other agents; ``run()`` must follow.
    ///
    /// ``MountNamespace/enter()`` must have been called before. Throws what is wrong with a file, the data directory or the machine.
    public static func start(_ configuration: AgentConfiguration, logger: Logger) async throws -> AgentService {
        let parts = try await AgentParts.open(configuration, logger: logger)
        let peers = parts.peerServer
        let server = HTTPServer(
            configuration: ServerConfiguration(
                host: configuration.listen.host, port: configuration.listen.port, identity: parts.identity, requiresCertificate: true)
        ) { await peers.respond(to: $0) }
        let port = try await server.start()
        let address = configuration.advertise ?? Endpoint(host: reachableHost(configuration.listen.host), port: port)
        logger.notice(
            "serving other agents",
            metadata: ["listen": "\(Endpoint(host: configuration.listen.host, port: port))", "advertise": "\(address)"])
        return AgentService(address: address, parts: parts, server: server, logger: logger)
    }

    /// Who listens everywhere is reached by the machine's name.
    private static func reachableHost(_ host: String) -> String {
        guard host == "0.0.0.0" || host == "::" else { return host }
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return host }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Works until the task is cancelled, then hands back what runs and ends in order.
    public func run() async {
        await parts.volumes.onShortage { [keeper = parts.keeper] in await keeper.relieve(wanted: $0) }
        let session = Task { await self.session.run() }
        let background = [
            Task { await parts.services.outbox.run() }, Task { await parts.holdings.run() }, Task { await self.maintain() },
            Task { await parts.services.disk.run() }, Task { await self.relieve() },
        ]
        let (never, keep) = AsyncStream<Void>.makeStream()
        for await _ in never {}
        keep.finish()
        logger.notice("stopping")
        // In a task of its own: this one is cancelled, and what it calls would take that for a wish to hurry.
        await Task { [self] in
            session.cancel()
            parts.volumes.beginEnding()
            await parts.runner.stop()
            await parts.services.outbox.drain(within: Self.reportGrace)
            for task in background { task.cancel() }
            await parts.heartbeats.stop()
            await server.shutdown(grace: Self.serverGrace)
            await parts.peers.close()
            await parts.services.api.http.close()
            _ = try? await BlockingPool.shared.run { [parts] in
                try? parts.layers.synchronize()
                parts.services.sandbox.close()
                parts.data.clean()
                if case .success(let memory) = parts.services.memory { memory.remove() }
            }
        }.value
        logger.notice("stopped")
    }

    // MARK: The coordinator's commands

    private var session: CoordinatorSession {
        CoordinatorSession(
            api: parts.services.api, logger: logger,
            hello: { [parts, address] in await parts.hello(address: "\(address)") },
            handle: { [self] in await handle($0) })
    }

    private func handle(_ command: AgentCommand) async {
        switch command {
        case .welcome(let key, let interval):
            do {
                try parts.peerServer.trust(grantKey: Hex.bytes(key) ?? [])
            } catch {
                logger.error("the coordinator's grant key can't be used", metadata: ["error": "\(error)"])
            }
            await parts.heartbeats.start(every: interval)
            // A request; other commands, and the session's pings, can't wait for it.
            Task { await parts.volumes.welcomed() }
            logger.notice("joined", metadata: ["heartbeat": "\(interval)"])
        case .assign(let assignment): await parts.runner.start(assignment)
        case .cancel(let assignment): await parts.runner.cancel(assignment)
        case .export(let order): Task { await Exporter(services: parts.services).export(order) }
        // It waits for the end of what is done with the volume; other commands, and the session's pings, can't.
        case .dropVolume(let key, let generation): Task { await parts.volumes.drop(key, upTo: generation) }
        case .copyVolume(let order): Task { await parts.copier.obey(order) }
        case .verifyVolume(let order): await parts.verifier.obey(order)
        case .cancelVerify(let id): await parts.verifier.cancel(id)
        case .clock(let time): parts.coordinatorTime.note(time)
        case .ping: break
        }
    }

    /// Keeps the layer cache within its size and what is in it on the disk.
    private func maintain() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.maintenanceInterval)
            do {
                let removed = try await BlockingPool.shared.run { [parts] in
                    let removed = try parts.layers.collect(keeping: parts.layerCacheSize)
                    try parts.layers.synchronize()
                    try parts.services.binds.trim(to: Self.bindLimit)
                    return removed
                }
                parts.holdings.removed(removed)
                if !removed.isEmpty { logger.info("layers removed from the cache", metadata: ["layers": "\(removed.count)"]) }
            } catch {
                logger.warning("the layer cache could not be cleaned", metadata: ["error": "\(error)"])
            }
            parts.services.disk.alarm()
        }
    }

    /// Makes room when the disk has become full, at once, and when it is fuller than it shall be. One after the other.
    private func relieve() async { for await _ in parts.services.disk.alarms { await parts.keeper.relieve() } }
}

/// Bytes as hexadecimal digits.
enum Hex {
    static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
