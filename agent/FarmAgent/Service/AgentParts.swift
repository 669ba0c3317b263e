import BlockingIO
import BuildPlan
import Daemon
import FarmAPI
import FileSteps
import Glibc
import Layers
import Logging
import Sandbox
import Transport
import Volumes

/// Everything that an agent is made of, opened and joined.
struct AgentParts: Sendable {
    let data: DataDirectory
    let identity: TLSIdentity
    let layers: LayerStore
    let volumeStore: VolumeStore
    let volumes: VolumeService
    let copier: VolumeCopier
    let keeper: DiskKeeper
    let verifier: VolumeVerifier
    let peers: PeerClient
    let peerServer: PeerServer
    let coordinatorTime: CoordinatorTime
    let services: StageServices
    let runner: StageRunner
    let holdings: Holdings
    let heartbeats: Heartbeats
    let layerCacheSize: Int64
    private let labels: [String: String]
    private let slots: Int
    private let resources: AgentResources
    private let epoch: String

    static func open(_ configuration: AgentConfiguration, logger: Logger) async throws -> AgentParts {
        for (setting, path) in [
            ("authority", configuration.authority), ("certificate", configuration.certificate), ("key", configuration.key),
        ] where access(path, R_OK) != 0 {
            throw AgentError.missingFile(setting: setting, path: path, error: errno)
        }
        let data = try await BlockingPool.shared.run {
            let data = try DataDirectory(path: configuration.data)
            data.clean()
            try Snapshot.selfTest(in: data.work)
            return data
        }
        let (sandbox, memory) = try await BlockingPool.shared.run {
            let memory = Result { () throws(SandboxError) in try MemoryDirectory(name: "agent-\(data.tag)") }
            if case .failure(let error) = memory { logger.warning("steps with secrets can't run here", metadata: ["reason": "\(error)"]) }
            let runtime = try Runtime.find(choice: configuration.runtime, in: data.work)
            for finding in runtime.findings { logger.notice("runtime", metadata: ["finding": "\(finding)"]) }
            let sandbox = try Sandbox(runtime: runtime, directory: data.path, name: data.tag, memory: try? memory.get())
            let left = sandbox.recover()
            if !left.isEmpty { logger.warning("ended what an earlier agent left running", metadata: ["containers": "\(left.count)"]) }
            return (sandbox, memory)
        }
        let resources = try await BlockingPool.shared.run {
            try configuration.resources(enforcesLimits: sandbox.runtime.enforcesLimits, logger: logger)
        }
        let identity = TLSIdentity(
            certificateFile: configuration.certificate, privateKeyFile: configuration.key, authorityFile: configuration.authority)
        let client = HTTPClient(
            configuration: ClientConfiguration(
                host: configuration.coordinator.host, port: configuration.coordinator.port, identity: identity))
        let api = APIClient(http: client)
        let peers = PeerClient(identity: identity)
        var volumeSettings = VolumeSettings()
        volumeSettings.spareFiles = configuration.spareFiles
        // A spare that the disk's mark would take away at once need not be made.
        if case .share(let low) = configuration.volumeLow { volumeSettings.spareReserve = 1 - low }
        let volumesAs = volumeSettings
        let (layers, volumeStore, contexts, binds) = try await BlockingPool.shared.run {
            (
                try LayerStore(directory: data.layers), try VolumeStore(directory: data.volumes, settings: volumesAs, logger: logger),
                try ContextTrees(directory: data.objects, api: api),
                try BindCache(directory: data.binds)
            )
        }
        let epoch = String(UInt64.random(in: 0...UInt64.max), radix: 36)
        let outbox = Outbox(epoch: epoch, logger: logger) { try await api.post("/api/v1/agent/reports", $0) }
        let holdings = Holdings(logger: logger) { try await api.post("/api/v1/agent/holdings", $0) }
        let volumes = VolumeService(store: volumeStore, coordinator: api, peers: peers, logger: logger)
        var limits = StepSpec.Limits()
        limits.cores = configuration.stepCores
        limits.memory = configuration.stepMemory.map(UInt64.init)
        let services = StageServices(
            api: api, layers: layers,
            fetcher: LayerFetcher(store: layers, api: api, peers: peers, holdings: holdings, logger: logger), volumes: volumes,
            contexts: contexts, binds: binds, sandbox: sandbox, slots: Slots(configuration.slots), outbox: outbox, limits: limits,
            hostPaths: HostPaths(allowed: configuration.hostPaths), memory: memory, disk: DiskWatch(path: data.path),
            work: data.work, mounts: data.mounts,
            logger: logger)
        let runner = StageRunner(services: services)
        let heartbeats = Heartbeats(logger: logger) {
            try await api.post(
                "/api/v1/agent/heartbeat",
                Heartbeat(
                    epoch: epoch, running: await runner.assignments, freeBytes: data.freeBytes, transfers: peers.meter.take()),
                deadline: Heartbeats.deadline)
        }
        let coordinatorTime = CoordinatorTime()
        return AgentParts(
            data: data, identity: identity, layers: layers, volumeStore: volumeStore, volumes: volumes,
            copier: VolumeCopier(
                volumes: volumes, api: api, bytesPerSecond: configuration.copyBandwidth, isBusy: { await !runner.isIdle }, logger: logger),
            keeper: DiskKeeper(
                path: data.path, high: configuration.volumeHigh, low: configuration.volumeLow, volumes: volumes, layers: layers, api: api,
                isBusy: { await !runner.isIdle }, removed: { holdings.removed($0) }, logger: logger),
            verifier: VolumeVerifier(
                verify: { await volumes.verify($0) },
                post: { order, report in
                    // Steps may have published meanwhile.
                    try await volumes.tell(order.key) { generation in
                        var now = report
                        now.left = generation
                        try await api.post("/api/v1/agent/volumes/verified", now)
                    }
                }, logger: logger),
            peers: peers,
            peerServer: PeerServer(
                store: volumeStore, layers: layers, now: { coordinatorTime.now }, logger: logger,
                disclaim: { await volumes.announce($0) }),
            coordinatorTime: coordinatorTime, services: services, runner: runner,
            holdings: holdings,
            heartbeats: heartbeats, layerCacheSize: configuration.layerCacheSize, labels: configuration.labels, slots: configuration.slots,
            resources: resources, epoch: epoch)
    }

    func hello(address: String) async -> AgentHello {
        let own = ["os": Platform.own.os, "arch": Platform.own.architecture]
        return AgentHello(
            epoch: epoch, labels: labels.merging(own) { $1 }, slots: slots, address: address, runtime: services.sandbox.runtime.name,
            version: farmVersion, assignments: await runner.assignments, layers: layers.all(), volumes: await volumes.introduce(),
            hostPaths: services.hostPaths.allowed, resources: resources)
    }
}

extension Platform {
    /// What this program was built for.
    static var own: Platform {
        #if arch(x86_64)
            Platform(os: "linux", architecture: "amd64")
        #elseif arch(arm64)
            Platform(os: "linux", architecture: "arm64")
        #else
            Platform(os: "linux", architecture: "unknown")
        #endif
    }
}
