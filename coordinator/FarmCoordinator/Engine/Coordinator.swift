import BuildPlan
import Digests
import FarmAPI
import Logging
import Store

/// The engine of the farm: it holds what is running in memory, decides, and writes everything that it acknowledges to the store first.
///
/// All methods may be called from any task. Those that change something return when the change is durable.
public actor Coordinator {
    let store: Store
    let contexts: any ContextAccess
    let images: any ImageAccess
    let grants: any GrantSigner
    let settings: EngineSettings
    let clock: any EngineClock
    let logger: Logger

    /// Loads the state from the store. Nothing happens until ``run()``.
    public init(
        store: Store, contexts: any ContextAccess, images: any ImageAccess, grants: any GrantSigner,
        settings: EngineSettings = EngineSettings(), clock: any EngineClock = SystemClock(), logger: Logger
    ) async throws {
        self.store = store
        self.contexts = contexts
        self.images = images
        self.grants = grants
        self.settings = settings
        self.clock = clock
        self.logger = logger
    }

    /// Goes on with the builds that the store has, watches leases and timeouts; returns when the task is cancelled.
    public func run() async throws { throw notBuilt }
}

/// What clients ask.
extension Coordinator {
    /// Stores a build. When its context is complete it starts at once, else at ``start(_:)``. The same `requestID` of the same user
    /// gives the same build.
    public func submit(_ request: SubmitRequest, user: String) async throws -> SubmitResponse { throw notBuilt }

    /// The context's directories are uploaded now.
    /// - Throws: ``EngineError/conflict(_:)`` when some are still missing.
    public func start(_ build: String) async throws { throw notBuilt }

    /// The build's events with a sequence above `after`, those to come too; ends after `finished`. A slow reader costs no memory.
    /// - Throws: ``EngineError/notFound(_:)``
    public func events(of build: String, after: Int) async throws -> BuildEvents { throw notBuilt }

    /// The contents that the build waits for now, each once.
    public func needs(of build: String) async throws -> [Digest] { throw notBuilt }

    /// File contents have been stored; the build goes on when it has all it needs.
    public func contentsArrived(for build: String) async throws { throw notBuilt }

    /// Ends the build; no error when it has ended already.
    public func cancel(_ build: String) async throws { throw notBuilt }

    /// `farm show`. A prefix of an id that is unique will do.
    public func describe(_ build: String) async throws -> BuildDescription { throw notBuilt }

    /// The newest builds first, without their stages' steps.
    public func builds(limit: Int) async throws -> [BuildDescription] { throw notBuilt }

    /// All agents that have ever joined, by name.
    public func agents() async -> [AgentDescription] { [] }

    /// No new stages for the agent; those that run there end.
    public func drain(_ agent: String) async throws { throw notBuilt }

    /// New stages again.
    public func resume(_ agent: String) async throws { throw notBuilt }

    /// All volumes, by project and id.
    public func volumes() async -> [VolumeDescription] { [] }

    /// Removes the volume for all platforms, here and on all its holders.
    /// - Throws: ``EngineError/conflict(_:)`` while a step has it or waits for it, ``EngineError/notFound(_:)``.
    public func removeVolume(project: String, id: String) async throws { throw notBuilt }

    /// Sends an agent that has most of the image's layers the order to make an archive.
    /// - Parameter id: chosen by the caller, who takes the archive under it and calls ``exportEnded(_:)``.
    /// - Returns: the agent's name.
    /// - Throws: ``EngineError/conflict(_:)`` when the build has no image, ``EngineError/unavailable(_:)`` when no agent is there or a
    ///   layer can't be had any more.
    public func orderExport(id: String, build: String, type: ExportType, tags: [String]) async throws -> String { throw notBuilt }

    /// The archive has arrived or has failed: the agent may not ask for its layers any more.
    public func exportEnded(_ id: String) async {}

    /// An image was imported or removed.
    public func imagesChanged() async throws { throw notBuilt }
}

/// What agents ask; `agent` is the name in the caller's certificate.
extension Coordinator {
    /// The agent's session: the stream of its commands. A new session ends the one before. When the stream's consumer goes away, the
    /// session is closed; the agent's stages stay leased to it until the lease ends.
    public func openSession(of agent: String, _ hello: AgentHello) async throws -> AsyncStream<AgentCommand> { throw notBuilt }

    /// Renews the leases of what the agent runs; tells it to cancel what is not its any more.
    public func heartbeat(_ heartbeat: Heartbeat, from agent: String) async throws { throw notBuilt }

    /// Returns when all reports are stored. Those that came before are skipped.
    public func report(_ reports: [AgentReport], from agent: String) async throws { throw notBuilt }

    /// The record of a key, if its layer can be had.
    public func record(_ query: RecordQuery, from agent: String) async throws -> RecordAnswer { throw notBuilt }

    /// Who has these layers, with grants for the asking agent.
    public func locate(_ query: LayerQuery, from agent: String) async throws -> LayerLocations { throw notBuilt }

    /// Waits until all volumes are granted at once. Cancelling the task leaves the request in its place: the same `lock` asks again.
    /// - Throws: ``EngineError/conflict(_:)`` when the assignment is not the agent's (any more).
    public func acquire(_ request: AcquireVolumes, from agent: String) async throws -> VolumesAcquired { throw notBuilt }

    /// The state of the volumes without any lock.
    public func locateVolumes(_ request: AcquireVolumes, from agent: String) async throws -> VolumesAcquired { throw notBuilt }

    /// A delta becomes the next generation, or the agent hears that it is behind.
    public func publish(_ volume: PublishVolume, from agent: String) async throws -> PublishAnswer { throw notBuilt }

    /// Gives the locks back; no error when they are gone already.
    public func release(_ request: ReleaseVolumes, from agent: String) async throws { throw notBuilt }

    /// What has come to or gone from the agent's disk.
    public func holdingsChanged(_ change: HoldingsChange, of agent: String) async throws { throw notBuilt }
}

/// The events of a build, read from the store page by page.
public struct BuildEvents: AsyncSequence, Sendable {
    /// Asks for the next page when the last is used up; ends with an error when the store fails.
    public struct Iterator: AsyncIteratorProtocol {
        /// The next event in order, waiting for it if need be; nil after `finished`.
        public mutating func next() async throws -> BuildEvent? { nil }
    }

    /// Starts reading.
    public func makeAsyncIterator() -> Iterator { Iterator() }
}

let notBuilt = EngineError.unavailable("the engine is being written")
