import BuildPlan
import Digests

/// What an agent says when it opens its session. `POST /api/v1/agent/session`; the response is a stream of ``AgentCommand``, JSON,
/// one a line. The agent's name is that of its certificate.
public struct AgentHello: Codable, Sendable {
    /// New at each start of the process.
    public var epoch: String
    public var labels: [String: String]
    public var slots: Int
    /// `host:port` where other agents reach it.
    public var address: String
    public var runtime: String
    public var version: String
    /// What is still running here, so that a coordinator that was restarted goes on with it.
    public var assignments: [String]
    /// All layers and generations on its disk: the truth about what this agent holds.
    public var layers: [LayerDescriptor]
    public var volumes: [HeldVolume]
    /// Paths of the machine that builds may mount, each with all that is below it: absolute and clean.
    public var hostPaths: [String]
    public var resources: AgentResources

    public init(
        epoch: String, labels: [String: String], slots: Int, address: String, runtime: String, version: String, assignments: [String],
        layers: [LayerDescriptor], volumes: [HeldVolume], hostPaths: [String] = [], resources: AgentResources = AgentResources()
    ) {
        self.epoch = epoch
        self.labels = labels
        self.slots = slots
        self.address = address
        self.runtime = runtime
        self.version = version
        self.assignments = assignments
        self.layers = layers
        self.volumes = volumes
        self.hostPaths = hostPaths
        self.resources = resources
    }
}

/// A volume's name in the cluster.
public struct VolumeKey: Codable, Sendable, Hashable {
    public var project: String
    public var id: String
    public var platform: Platform
    public init(project: String, id: String, platform: Platform) {
        self.project = project
        self.id = id
        self.platform = platform
    }
}

/// A generation on an agent's disk.
public struct HeldVolume: Codable, Sendable, Hashable {
    public var key: VolumeKey
    public var generation: Int
    public init(key: VolumeKey, generation: Int) {
        self.key = key
        self.generation = generation
    }
}

/// What the coordinator tells an agent.
public enum AgentCommand: Codable, Sendable {
    /// The first line. `grantKey`: the raw 32 bytes (hexadecimal) of the Ed25519 key that grants are signed with.
    /// The agent sends a heartbeat every `heartbeat` seconds.
    case welcome(grantKey: String, heartbeat: Double)
    case assign(StageAssignment)
    /// End the assignment's processes and report it as cancelled.
    case cancel(assignment: String)
    case export(ExportOrder)
    /// Remove what is there of the volume. `upTo`: the newest generation that is meant; one that came since stays. nil for any.
    case dropVolume(VolumeKey, upTo: Int?)
    case copyVolume(CopyOrder)
    /// Given again when the agent opens a session while it is not answered.
    case verifyVolume(VerifyOrder)
    /// Nobody waits for that verification (``VerifyOrder/id``) any more.
    case cancelVerify(String)
    /// Sent now and then, so that both ends notice a dead connection.
    case ping
    /// The coordinator's wall clock, by which grants expire. Sent as often.
    case clock(Timestamp)
}

/// A stage given to an agent, under a lease that heartbeats renew.
public struct StageAssignment: Codable, Sendable {
    public var id: String
    public var build: String
    public var project: String
    /// The stage's index in the plan.
    public var stage: Int
    public var stageName: String
    public var attempt: Int
    public var platform: Platform
    /// The layers below the first step to do, lowest first: the base's and those of steps that have records.
    public var base: [LayerDescriptor]
    /// All steps of the stage; those before `firstStep` are done.
    public var steps: [Step]
    public var firstStep: Int
    /// The tree of `.context` sources.
    public var contextRoot: Digest?
    /// The context root as of which the layers below the first step have the repository's files; nil where they have none.
    public var filesBelow: Digest?
    /// The layers of `.stage` and `.image` sources that the steps read.
    public var sources: [SourceLayers]
    /// Do not look for records of these steps.
    public var noCache: Bool
    public var noCacheMounts: Bool
    /// Processors that are reserved for it, which no step may exceed; nil for none.
    public var cpus: Double?
    /// Bytes of memory, the same.
    public var memory: Int64?

    public struct SourceLayers: Codable, Sendable {
        public var source: TreeSource
        public var layers: [LayerDescriptor]
        public init(source: TreeSource, layers: [LayerDescriptor]) {
            self.source = source
            self.layers = layers
        }
    }

    public init(
        id: String, build: String, project: String, stage: Int, stageName: String, attempt: Int, platform: Platform,
        base: [LayerDescriptor], steps: [Step], firstStep: Int, contextRoot: Digest?, filesBelow: Digest? = nil, sources: [SourceLayers],
        options: BuildOptions, noCache: Bool
    ) {
        self.id = id
        self.build = build
        self.project = project
        self.stage = stage
        self.stageName = stageName
        self.attempt = attempt
        self.platform = platform
        self.base = base
        self.steps = steps
        self.firstStep = firstStep
        self.contextRoot = contextRoot
        self.filesBelow = filesBelow
        self.sources = sources
        self.noCache = noCache
        noCacheMounts = options.noCacheMounts
        cpus = options.cpus
        memory = options.memory
    }
}

/// What an agent reports, in order. `POST /api/v1/agent/reports` with a JSON array; 204 when all are stored. A report is sent again
/// until it is acknowledged; `number` makes the second arrival harmless.
public struct AgentReport: Codable, Sendable {
    /// Rising within an epoch of the agent, from 1.
    public var number: Int
    public var epoch: String
    public var assignment: String
    public var time: Timestamp
    public var kind: Kind

    public enum Kind: Codable, Sendable {
        case stepStarted(step: Int)
        case log(step: Int, text: String)
        case stepFinished(step: Int, StepOutcome)
        /// The content digest of a part of a stage or an image, by the chain of its layers: a later build knows it without an agent.
        case selection(chain: Digest, SelectionDigest)
        case stageFinished(StageOutcome)
    }

    public init(number: Int, epoch: String, assignment: String, time: Timestamp, kind: Kind) {
        self.number = number
        self.epoch = epoch
        self.assignment = assignment
        self.time = time
        self.kind = kind
    }
}

/// The content digest of a selected path. Its `chain` is ``TreeSelection/place(in:)``.
public struct SelectionDigest: Codable, Sendable, Hashable {
    public var path: String
    public var wildcards: Bool
    public var digest: Digest
    public init(path: String, wildcards: Bool, digest: Digest) {
        self.path = path
        self.wildcards = wildcards
        self.digest = digest
    }
}

/// How a step ended.
public struct StepOutcome: Codable, Sendable {
    public var status: Status
    /// True where a record was found and nothing ran.
    public var cached: Bool
    public var key: Digest?
    /// There when it succeeded.
    public var layer: LayerDescriptor?
    public var created: Timestamp?
    /// The context root as of which the layer has the repository's files; nil for a step that leaves them as they were.
    public var files: Digest?
    public var exitCode: Int?
    public var error: String?
    public var bytes: ReceivedBytes
    /// Seconds in which it waited for its inputs and locks: they say nothing about how long the step itself takes.
    public var waited: Double?

    public init(status: Status, cached: Bool) {
        self.status = status
        self.cached = cached
        bytes = ReceivedBytes()
    }
}

/// How an assignment ended.
public enum StageOutcome: Codable, Sendable {
    case succeeded
    /// A step failed by itself: not to be retried.
    case failed(BuildFailure)
    case cancelled
    /// Another agent makes the next step already: see ``RecordAnswer/isMade``.
    case yielded
    /// The agent could not do it (full disk, a holder that is gone): to be retried elsewhere.
    case unable(reason: String)

    /// The reason of an agent that was told to end: nothing that speaks against it.
    public static let stoppingReason = "the agent is stopping"
}

/// `POST /api/v1/agent/heartbeat`, 204.
public struct Heartbeat: Codable, Sendable {
    public var epoch: String
    public var running: [String]
    public var freeBytes: Int64
    /// What was received since the last one, at most ``TransferMeasure/limit``.
    public var transfers: [TransferMeasure]?
    public init(epoch: String, running: [String], freeBytes: Int64, transfers: [TransferMeasure]? = nil) {
        self.epoch = epoch
        self.running = running
        self.freeBytes = freeBytes
        self.transfers = transfers
    }
}

/// What an agent received from one sender, and the time in which it did.
public struct TransferMeasure: Codable, Sendable, Hashable {
    /// Another agent; nil for the coordinator.
    public var from: String?
    public var bytes: Int64
    public var seconds: Double

    /// In one heartbeat: an agent receives from a few at a time.
    public static let limit = 16

    public init(from: String?, bytes: Int64, seconds: Double) {
        self.from = from
        self.bytes = bytes
        self.seconds = seconds
    }
}

/// `POST /api/v1/agent/records`: is there a record for the key? ``RecordAnswer``.
public struct RecordQuery: Codable, Sendable {
    public var assignment: String
    public var key: Digest
    public init(assignment: String, key: Digest) {
        self.assignment = assignment
        self.key = key
    }
}

/// The record, if there is one and its layer can still be had.
public struct RecordAnswer: Codable, Sendable {
    public var layer: LayerDescriptor?
    public var created: Timestamp?
    /// As ``StepOutcome/files``.
    public var files: Digest?
    /// Another assignment makes the step now: the agent hands its own back as ``StageOutcome/yielded``, and it goes on with the record.
    public var isMade: Bool
    public init(layer: LayerDescriptor?, created: Timestamp?, files: Digest? = nil, isMade: Bool = false) {
        self.layer = layer
        self.created = created
        self.files = files
        self.isMade = isMade
    }
}

/// `POST /api/v1/agent/layers/locate`: who has these layers? ``LayerLocations``.
public struct LayerQuery: Codable, Sendable {
    /// The assignment or export for which they are needed.
    public var purpose: String
    public var layers: [Digest]
    public init(purpose: String, layers: [Digest]) {
        self.purpose = purpose
        self.layers = layers
    }
}

/// Where layers are.
public struct LayerLocations: Codable, Sendable {
    public struct Location: Codable, Sendable {
        public var layer: Digest
        /// Agents that have it, the nearest first.
        public var holders: [Holder]
        /// The coordinator has it too (an imported image): `GET /api/v1/agent/layers/{diffID}`, its uncompressed tar.
        public var atCoordinator: Bool
        public init(layer: Digest, holders: [Holder], atCoordinator: Bool) {
            self.layer = layer
            self.holders = holders
            self.atCoordinator = atCoordinator
        }
    }
    public var locations: [Location]
    public init(locations: [Location]) { self.locations = locations }
}

/// An agent to fetch from, with the coordinator's permission.
public struct Holder: Codable, Sendable, Hashable {
    public var agent: String
    /// `host:port`.
    public var address: String
    /// The header `farm-grant` of requests to it; see ``Grant``.
    public var grant: String
    /// For volumes: the generation that it has.
    public var generation: Int?
    public init(agent: String, address: String, grant: String, generation: Int? = nil) {
        self.agent = agent
        self.address = address
        self.grant = grant
        self.generation = generation
    }
}

/// What a grant permits; the coordinator signs its JSON with Ed25519: `base64url(JSON).base64url(signature)`.
public struct Grant: Codable, Sendable, Hashable {
    /// The agent that may fetch: the common name of its certificate.
    public var subject: String
    /// `layer:<diffID>` or `volume:<project>\n<id>\n<platform>`.
    public var object: String
    public var expires: Timestamp
    public init(subject: String, object: String, expires: Timestamp) {
        self.subject = subject
        self.object = object
        self.expires = expires
    }

    public static func object(of layer: Digest) -> String { "layer:\(layer)" }
    public static func object(of volume: VolumeKey) -> String { "volume:\(volume.project)\n\(volume.id)\n\(volume.platform)" }
}

/// `POST /api/v1/agent/volumes/acquire`: all volumes of a step at once; answered when all locks are granted. ``VolumesAcquired``.
/// The same with `wait` false and no locks taken: `POST /api/v1/agent/volumes/locate`.
public struct AcquireVolumes: Codable, Sendable {
    public struct Need: Codable, Sendable {
        public var key: VolumeKey
        public var sharing: Sharing
        public init(key: VolumeKey, sharing: Sharing) {
            self.key = key
            self.sharing = sharing
        }
    }
    public var assignment: String
    /// Chosen by the agent; a retried request with the same lock is the same request.
    public var lock: String
    public var needs: [Need]
    public init(assignment: String, lock: String, needs: [Need]) {
        self.assignment = assignment
        self.lock = lock
        self.needs = needs
    }
}

/// The state of the volumes at the time of the grant, in the order of the request.
public struct VolumesAcquired: Codable, Sendable {
    public struct Volume: Codable, Sendable {
        /// The newest generation; 0 for a volume that is new.
        public var head: Int
        /// Those of the head or the newest generation that can still be had, newest first.
        public var holders: [Holder]
        /// True: someone else has this `private` volume; what is written is not published.
        public var fork: Bool
        public init(head: Int, holders: [Holder], fork: Bool) {
            self.head = head
            self.holders = holders
            self.fork = fork
        }
    }
    public var volumes: [Volume]
    public init(volumes: [Volume]) { self.volumes = volumes }
}

/// `POST /api/v1/agent/volumes/publish`: a delta upon `parent` is ready here. ``PublishAnswer``. The agent's last step that used the volume
/// still has its lock, or lost it with its assignment and has not given it back.
public struct PublishVolume: Codable, Sendable {
    public var key: VolumeKey
    /// Of the generation, so that a retried request publishes once.
    public var digest: Digest
    public var parent: Int
    /// Of the whole generation.
    public var bytes: Int64
    public var files: Int64
    /// Of the files that the delta names: the most that another agent has to be sent.
    public var deltaBytes: Int64
    /// The lock under which it was written, where that kept all others out: who has lost it meanwhile may not publish.
    public var lock: String?
    public init(key: VolumeKey, digest: Digest, parent: Int, bytes: Int64, files: Int64, deltaBytes: Int64, lock: String? = nil) {
        self.key = key
        self.digest = digest
        self.parent = parent
        self.bytes = bytes
        self.files = files
        self.deltaBytes = deltaBytes
        self.lock = lock
    }
}

/// What became of a delta.
public enum PublishAnswer: Codable, Sendable {
    /// It is this generation, and the agent its holder.
    case accepted(generation: Int)
    /// Others published meanwhile: bring `head` here, put the delta upon it, publish again.
    case behind(head: Int, holders: [Holder])
    /// The volume was removed meanwhile: drop it.
    case gone
    /// The agent has no lock of the volume, or no longer the one that it names, and others may have written since: throw the delta away.
    case stale
}

/// `POST /api/v1/agent/volumes/release`, 204: the step has ended and what it wrote is published.
public struct ReleaseVolumes: Codable, Sendable {
    public var lock: String
    public init(lock: String) { self.lock = lock }
}

/// `POST /api/v1/agent/holdings`, 204: what has come to or gone from this agent's disk.
public struct HoldingsChange: Codable, Sendable {
    public var addedLayers: [LayerDescriptor] = []
    public var removedLayers: [Digest] = []
    public var volumes: [HeldVolume] = []
    public var removedVolumes: [VolumeKey] = []
    public init() {}
}

/// An order to make an archive and send it: `POST /api/v1/agent/exports/{id}` with the archive as body. A failure is told by
/// `POST /api/v1/agent/exports/{id}/failure` with ``APIError``.
public struct ExportOrder: Codable, Sendable {
    public var id: String
    public var type: ExportType
    public var layers: [LayerDescriptor]
    /// The exact bytes of the image configuration and manifest (uncompressed layers).
    public var config: String
    public var manifest: String
    public var tags: [String]
    public init(id: String, type: ExportType, layers: [LayerDescriptor], config: String, manifest: String, tags: [String]) {
        self.id = id
        self.type = type
        self.layers = layers
        self.config = config
        self.manifest = manifest
        self.tags = tags
    }
}
