import BlockingIO
import BuildPlan
import Certificates
import Daemon
import FarmAPI
import Glibc
import Logging
import Store
import Transport

/// A coordinator: the store, the engine, the contexts, the images, and the server before them.
public final class CoordinatorService: Sendable {
    /// Requests that run when the coordinator ends may end in this time. Sessions and event streams never end by themselves; agents and
    /// clients open them again elsewhere or later.
    static let grace = Duration.seconds(1)

    /// Where it listens, with the port that was bound.
    public let endpoint: Endpoint

    private let engine: Coordinator
    private let server: HTTPServer
    private let store: Store
    private let log: Logger
    /// Held as long as the coordinator lives: two on one directory would be two truths.
    private let lock: DirectoryLock

    private init(endpoint: Endpoint, engine: Coordinator, server: HTTPServer, store: Store, log: Logger, lock: DirectoryLock) {
        self.endpoint = endpoint
        self.engine = engine
        self.server = server
        self.store = store
        self.log = log
        self.lock = lock
    }

    /// Opens everything and begins to answer. ``run()`` must follow.
    ///
    /// Throws what is wrong with a file, the data directory or the address.
    public static func start(_ configuration: CoordinatorConfiguration, log: Logger) async throws -> CoordinatorService {
        let layout = DataLayout(data: configuration.data)
        for (path, what) in [
            (configuration.authority, "authority"), (configuration.certificate, "certificate"), (configuration.key, "key"),
            (configuration.grantKey, "grant-key"),
        ] where access(path, R_OK) != 0 {
            throw SetupError.missing(path, hint: "make it with `farm-coordinator init --data \(configuration.data)`, or set `\(what)`")
        }
        let (lock, store) = try await BlockingPool.shared.run {
            for directory in layout.directories { try FileAccess.makeDirectories(directory, mode: 0o700) }
            let lock = try DirectoryLock(directory: layout.data)
            return (lock, try Store(path: layout.database, logger: log))
        }
        if let restored = store.restoration {
            log.notice(
                "the database is a backup, and is the truth from now on",
                metadata: [
                    "taken": "\(restored.takenAt)", "failed builds": "\(restored.endedBuilds)",
                    "generations from": "\(restored.generationFloor)",
                ])
        }
        await warn(ofCertificate: configuration.certificate, log)
        let disk = DiskReserve(directory: layout.data, reserved: configuration.reservedSpace)
        let contexts = try await ContextStore(
            layout: layout, disk: disk, limit: configuration.contextLimit, treeLimit: configuration.treeLimit)
        let images = try await ImageLibrary(layout: layout, store: store, disk: disk, limit: configuration.imageLimit, log: log)
        let grants = try await BlockingPool.shared.run { try GrantKey(file: configuration.grantKey) }
        let engine = try await Coordinator(
            store: store, contexts: contexts, images: images, grants: grants, settings: configuration.engine, logger: log)
        var routes = BuildRoutes(engine: engine, contexts: contexts).all
        routes += FarmRoutes(engine: engine, contexts: contexts, images: images).all
        routes += AgentRoutes(engine: engine, contexts: contexts, images: images).all
        routes += ExportRoutes(engine: engine, bridge: ExportBridge()).all
        routes += PageRoutes(engine: engine, images: images).all
        routes += ProbeRoutes(engine: engine, store: store, started: .now).all
        let router = Router(routes: routes, authentication: Authentication(tokens: TokenStore(file: configuration.tokens)), log: log)
        let identity = TLSIdentity(
            certificateFile: configuration.certificate, privateKeyFile: configuration.key, authorityFile: configuration.authority)
        var listening = ServerConfiguration(
            host: configuration.listen.host, port: configuration.listen.port, identity: identity, requiresCertificate: false)
        listening.maximumConnections = connections(configuration, log)
        listening.maximumStreams = configuration.maximumStreams
        listening.idleTimeout = .seconds(configuration.idleTimeout)
        let refusal = ConnectionRefusal(limit: listening.maximumConnections, log: log)
        listening.refusal = { refusal.response(to: $0) }
        let server = HTTPServer(configuration: listening) { await router.respond(to: $0) }
        let port = try await server.start()
        let endpoint = Endpoint(host: configuration.listen.host, port: port)
        log.notice("listening", metadata: ["address": "\(endpoint)", "data": "\(configuration.data)"])
        return CoordinatorService(endpoint: endpoint, engine: engine, server: server, store: store, log: log, lock: lock)
    }

    /// As many as are set, or as many as the process may have.
    private static func connections(_ configuration: CoordinatorConfiguration, _ log: Logger) -> Int {
        let descriptors = FileDescriptors.raiseLimit()
        let most = max(descriptors / 2, descriptors - ownDescriptors)
        guard descriptors > 0, most < configuration.maximumConnections else { return configuration.maximumConnections }
        log.warning(
            "the process may have fewer open files than connections are set (max-connections): raise its limit (LimitNOFILE, ulimit -n)",
            metadata: ["files": "\(descriptors)", "connections": "\(most)", "max-connections": "\(configuration.maximumConnections)"])
        return most
    }

    /// Open files beside connections: the database's, uploads and layers that are sent.
    private static let ownDescriptors = 512

    private static func warn(ofCertificate file: String, _ log: Logger) async {
        let age = try? await BlockingPool.shared.run {
            try FileAccess.read(file).map { try CertificateAge(certificatePEM: String(decoding: $0, as: UTF8.self)) }
        }
        guard let age = age ?? nil, age.needsRenewal else { return }
        let days = age.remaining.components.seconds / 86_400
        log.warning(
            "the coordinator's certificate expires soon: make another with `farm-coordinator enroll coordinator`",
            metadata: ["file": "\(file)", "days": "\(days)"])
    }

    /// After a start, before the database is read as a whole: agents and clients come back first.
    static let checkDelay = Duration.seconds(30)

    /// Runs until the task is cancelled, then ends in order; throws when the engine can't go on.
    public func run() async throws {
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                if store.wasLeftOpen { group.addTask { [self] in await checkStore() } }
                try await engine.run()
            }
            result = .success(())
        } catch is CancellationError {
            result = .success(())
        } catch {
            result = .failure(error)
        }
        // In a task of its own: this one is cancelled, and what it calls would take that for a wish to hurry.
        await Task { await stop() }.value
        try result.get()
    }

    /// What ended without closing its files may have been a machine that lost its power, on a disk that lies about what it has written.
    private func checkStore() async {
        do {
            try await Task.sleep(for: Self.checkDelay)
            guard let problem = try await store.check() else {
                return log.info("the database was checked after an unclean end: all is well")
            }
            log.critical(
                "the database is damaged: no builds are taken any more; restore the farm from a backup", metadata: ["problem": "\(problem)"]
            )
        } catch is CancellationError {
        } catch {
            log.warning("the database could not be checked", metadata: ["error": "\(error)"])
        }
    }

    private func stop() async {
        log.notice("stopping")
        await server.shutdown(grace: Self.grace)
        do { try await store.close() } catch { log.error("the store did not close well", metadata: ["error": "\(error)"]) }
        lock.release()
        log.notice("stopped")
    }
}

/// A lock on the data directory that goes with the process.
final class DirectoryLock: Sendable {
    private let file: Int32

    /// Throws ``SetupError/inUse(_:)`` when another process has it.
    init(directory: String) throws(SetupError) {
        let path = "\(directory)/lock"
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .failed("open", path, errno) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(file)
            if code == EWOULDBLOCK { throw .inUse(directory) }
            throw .failed("lock", path, code)
        }
    }

    /// Lets another process have the directory.
    func release() { _ = flock(file, LOCK_UN) }

    deinit { close(file) }
}

/// The part of the data disk that uploads must not take: the store needs room to work.
struct DiskReserve: Sendable {
    let directory: String
    let reserved: Int64

    /// Throws ``RouteError/insufficientStorage(_:)`` when `bytes` more would go into the reserve. Blocks for microseconds.
    func check(_ bytes: Int64 = 0) throws(RouteError) {
        var info = statvfs()
        guard statvfs(directory, &info) == 0 else { return }
        let free = Int64(clamping: UInt64(info.f_bavail) * UInt64(info.f_frsize))
        guard free - reserved >= bytes else {
            throw .insufficientStorage(
                "the coordinator's disk has \(ByteCount.format(free)) left, and keeps \(ByteCount.format(reserved)) in reserve; "
                    + "free space there, or set reserved-space lower")
        }
    }
}
