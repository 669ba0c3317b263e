import BlockingIO
import BuildPlan
import CLinux
import Certificates
import Digests
import FarmAPI
import Glibc
import Logging
import Transport
import TreeSync

@testable import Volumes

/// Agents with real stores and real servers over TLS on loopback, and a coordinator in memory.
final class TestFarm: Sendable {
    let directory: String
    let coordinator: MemoryCoordinator
    let authority: Authority

    private init(directory: String) throws {
        self.directory = directory
        coordinator = try MemoryCoordinator()
        authority = try Authority.create(commonName: "test farm")
    }

    /// Runs a body with a farm and removes it afterwards.
    static func with(_ body: (TestFarm) async throws -> Void) async throws {
        let directory = "/tmp/farm-volumes-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(directory, 0o700)
        let farm = try TestFarm(directory: directory)
        do {
            try await body(farm)
        } catch {
            try? RemoveTree.remove(directory)
            throw error
        }
        try RemoveTree.remove(directory)
    }

    func identity(_ name: String, role: String = Role.agent) throws -> TLSIdentity {
        let path = "\(directory)/cert-\(name)-\(UInt32.random(in: 0 ... .max))"
        mkdir(path, 0o700)
        let issued = try authority.issue(commonName: name, role: role, names: ["localhost"], addresses: ["127.0.0.1"])
        let files = try authority.write(issued, to: path)
        return TLSIdentity(certificateFile: files.certificate, privateKeyFile: files.key, authorityFile: files.authority)
    }

    /// A step that begins waits for no holder that may be starting again.
    static var impatient: VolumeSettings {
        var settings = VolumeSettings()
        settings.startPatience = .zero
        return settings
    }

    /// Starts an agent.
    func agent(
        _ name: String, layers: any LayerSource = NoLayers(), patience: PeerPatience = PeerPatience(),
        limits: ServingLimits = ServingLimits(), settings: VolumeSettings = impatient,
        publicationPatience: Duration = TestAgent.publicationPatience
    ) async throws -> TestAgent {
        let agent = try TestAgent(
            name, farm: self, layers: layers, patience: patience, limits: limits, settings: settings,
            publicationPatience: publicationPatience)
        try await agent.start()
        return agent
    }
}

struct NoLayers: LayerSource {
    func contains(_ diffID: Digest) -> Bool { false }
    func write(diffID: Digest, to sink: any ByteSink) throws {}
}

final class TestAgent: Sendable {
    let name: String
    let store: VolumeStore
    let service: VolumeService
    let peers: PeerClient
    let peerServer: PeerServer
    let server: HTTPServer
    let farm: TestFarm

    /// Who would wait for what does not come shows by the test's time limit.
    static let publicationPatience = Duration.seconds(3600)

    init(
        _ name: String, farm: TestFarm, layers: any LayerSource, patience: PeerPatience = PeerPatience(),
        limits: ServingLimits = ServingLimits(), settings: VolumeSettings = VolumeSettings(),
        publicationPatience: Duration = TestAgent.publicationPatience
    ) throws {
        self.name = name
        self.farm = farm
        let identity = try farm.identity(name)
        // Spares are made however full the disk is on which tests run.
        var settings = settings
        settings.spareReserve = 0
        store = try VolumeStore(directory: "\(farm.directory)/\(name)", settings: settings)
        peers = PeerClient(identity: identity, patience: patience)
        var logger = Logger(label: name)
        logger.logLevel = .error
        service = VolumeService(
            store: store, coordinator: MemoryCoordinatorClient(agent: name, coordinator: farm.coordinator), peers: peers, logger: logger)
        let peerServer = PeerServer(
            store: store, layers: layers, now: { Timestamp(seconds: Int64(time(nil))) }, limits: limits,
            publicationPatience: publicationPatience, disclaim: { [service] in await service.announce($0) })
        try peerServer.trust(grantKey: farm.coordinator.key.publicKey)
        self.peerServer = peerServer
        server = HTTPServer(
            configuration: ServerConfiguration(host: "127.0.0.1", port: 0, identity: identity, requiresCertificate: true)
        ) { await peerServer.respond(to: $0) }
    }

    func start() async throws { await farm.coordinator.register(name, "127.0.0.1:\(try await server.start())") }

    func stop() async {
        await service.settle()
        await server.shutdown(grace: .zero)
        await peers.close()
    }

    /// A step that only looks.
    @discardableResult
    func step(_ key: VolumeKey) async throws -> VolumeLease { try await step(key) { _ in } }

    /// One step that uses one volume.
    @discardableResult
    func step(
        _ key: VolumeKey, sharing: Sharing = .shared, seed: (@Sendable () async throws -> String)? = nil, fresh: Bool = false,
        _ body: (String) async throws -> Void
    ) async throws -> VolumeLease {
        let request = VolumeRequest(key: key, sharing: sharing, fresh: fresh, seed: seed)
        let lease = try await service.acquire([request], assignment: "a", lock: "\(name)-\(UInt64.random(in: .min ... .max))")
        do {
            try await body(lease.paths[0])
        } catch {
            _ = try? await service.release(lease)
            throw error
        }
        try await service.release(lease)
        return lease
    }
}

extension VolumeKey {
    static func test(_ id: String = "cache") -> VolumeKey {
        VolumeKey(project: "p", id: id, platform: Platform(os: "linux", architecture: "amd64"))
    }
}

/// Runs a shell script in a directory, each command of which has to succeed; for what steps do. Synchronous, by the C library.
func shell(_ script: String, in directory: String) throws {
    let status = system("set -e; cd '\(directory)'; \(script)\n")
    guard status == 0 else { throw ShellFailure(script: script, status: status) }
}

struct ShellFailure: Error {
    var script: String
    var status: Int32
}

/// Waits until a path is gone: what was removed goes with the last who reads it.
func untilGone(_ path: String) async throws { while access(path, F_OK) == 0 { try await Task.sleep(for: .milliseconds(5)) } }

/// A description of everything in a directory that a volume keeps.
func listing(_ directory: String, times: Bool = true) throws -> String {
    let format = times ? "%P %y %m %U %G %T@ %l %s" : "%P %y %m %U %G %l"
    let file = "\(directory).listing-\(UInt64.random(in: .min ... .max))"
    defer { unlink(file) }
    // The size of a directory is the file system's own affair.
    try shell(
        "{ find . -mindepth 1 -type d -printf '\(format.replacingSize())\\n'; find . -mindepth 1 ! -type d -printf '\(format)\\n'; "
            + "find . -type f -exec sha256sum {} +; } | sort > '\(file)'", in: directory)
    return String(decoding: try VolumeFiles.read(file, upTo: 64 << 20), as: UTF8.self)
}

/// An extended attribute, nil where there is none.
func attribute(_ name: String, of path: String) -> [UInt8]? {
    var value = [UInt8](repeating: 0, count: 256)
    let count = clinux_lgetxattr(path, name, &value, value.count)
    return count < 0 ? nil : Array(value.prefix(count))
}

extension String {
    fileprivate func replacingSize() -> String { hasSuffix(" %s") ? String(dropLast(3)) : self }
}
