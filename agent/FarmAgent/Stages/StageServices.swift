import FarmAPI
import FileSteps
import Layers
import Logging
import Sandbox
import Synchronization
import Volumes

/// What running stages share.
final class StageServices: Sendable {
    let api: APIClient
    let layers: LayerStore
    let fetcher: LayerFetcher
    let volumes: any VolumeLeasing
    let contexts: ContextTrees
    let binds: BindCache
    let sandbox: Sandbox
    let slots: Slots
    let outbox: Outbox
    let selections = SelectionCache()
    let limits: StepSpec.Limits
    let hostPaths: HostPaths
    /// For secrets; the reason where this machine has none.
    let memory: Result<MemoryDirectory, SandboxError>
    let disk: DiskWatch
    let logger: Logger
    private let work: String
    private let mounts: String
    private let counter = Atomic(0)

    init(
        api: APIClient, layers: LayerStore, fetcher: LayerFetcher, volumes: any VolumeLeasing, contexts: ContextTrees, binds: BindCache,
        sandbox: Sandbox,
        slots: Slots, outbox: Outbox, limits: StepSpec.Limits,
        hostPaths: HostPaths, memory: Result<MemoryDirectory, SandboxError>, disk: DiskWatch, work: String, mounts: String,
        logger: Logger
    ) {
        self.api = api
        self.layers = layers
        self.fetcher = fetcher
        self.volumes = volumes
        self.contexts = contexts
        self.binds = binds
        self.sandbox = sandbox
        self.slots = slots
        self.outbox = outbox
        self.limits = limits
        self.hostPaths = hostPaths
        self.memory = memory
        self.disk = disk
        self.work = work
        self.mounts = mounts
        self.logger = logger
    }

    /// A path in the work directory that nothing has used since the agent's start.
    func workPath() -> String { "\(work)/\(String(number(), radix: 36))" }

    /// A path for something of the machine to be mounted at, in a directory that is never removed with what is in it.
    func mountPath() -> String { "\(mounts)/\(String(number(), radix: 36))" }

    /// Rising.
    func number() -> Int { counter.add(1, ordering: .relaxed).newValue }
}
