import BuildPlan
import Digests

/// What `farm submit` sends to start a build. `POST /api/v1/builds`
public struct SubmitRequest: Codable, Sendable {
    public var project: String
    /// The Dockerfile's text and the name for messages.
    public var dockerfile: String
    public var dockerfileName: String
    /// The root of the context's Merkle tree; nil where there is no context.
    public var contextRoot: Digest?
    public var options: BuildOptions
    /// Chosen by the client so that a retried request starts one build only.
    public var requestID: String
    /// There where a werf.yaml is built; `dockerfile` is empty then, and the context is the repository's tree.
    public var werf: WerfRequest?

    public init(
        project: String, dockerfile: String, dockerfileName: String, contextRoot: Digest?, options: BuildOptions, requestID: String
    ) {
        self.project = project
        self.dockerfile = dockerfile
        self.dockerfileName = dockerfileName
        self.contextRoot = contextRoot
        self.options = options
        self.requestID = requestID
    }
}

/// A werf.yaml as the client has rendered it: its environment and its repository are on the client's side.
public struct WerfRequest: Codable, Sendable, Hashable {
    /// The YAML documents, with all templates executed.
    public var config: String
    /// For messages: `werf.yaml`.
    public var name: String
    /// `--image`; empty for all final images.
    public var images: [String]
    /// The texts of the files that planning reads, by their path in the repository: Dockerfiles and their .dockerignore.
    public var files: [String: String]

    public init(config: String, name: String, images: [String], files: [String: String] = [:]) {
        self.config = config
        self.name = name
        self.images = images
        self.files = files
    }
}

/// The options of a build that enter its plan or its placement.
public struct BuildOptions: Codable, Sendable, Hashable {
    public var target: String?
    public var buildArguments: [String: String] = [:]
    /// nil: the farm's own (the agents').
    public var platform: Platform?
    public var labels: [String: String] = [:]
    public var tags: [String] = []
    public var noCache = false
    /// Stages whose steps are run anew.
    public var noCacheFilter: [String] = []
    public var noCacheMounts = false
    /// The network of steps that say nothing themselves.
    public var network: NetworkMode = .host
    /// `name:address`: lines for /etc/hosts of the steps.
    public var extraHosts: [String] = []
    /// Bytes of /dev/shm; nil for 64 MiB.
    public var shmSize: UInt64?
    /// Labels that the agent must have: `name=agent-2`.
    public var require: [String: String] = [:]
    /// Labels that the agent had better have; nil for none. Optional, like what follows: stored builds of older versions lack them.
    public var prefer: [String: String]?
    /// Processors that each stage reserves and its steps are held to; nil for a slot alone.
    public var cpus: Double?
    /// Bytes of memory, the same.
    public var memory: Int64?
    /// From -3 to 3: each step doubles the build's share among its user's; nil for 0.
    public var priority: Int?
    public init() {}
}

/// The answer to ``SubmitRequest``.
public struct SubmitResponse: Codable, Sendable {
    public var build: String
    /// False: the client uploads the tree's objects (`POST /api/v1/trees`) and then calls `POST /api/v1/builds/{id}/start`.
    public var started: Bool
    public init(build: String, started: Bool) {
        self.build = build
        self.started = started
    }
}

/// A status as users see it.
public enum Status: String, Codable, Sendable, Hashable, CaseIterable {
    case queued, running, succeeded, failed, cancelled
    /// True for the last three.
    public var isFinal: Bool { self != .queued && self != .running }
}

/// Bytes that a step received over the network.
public struct ReceivedBytes: Codable, Sendable, Hashable {
    public var layers: Int64 = 0
    public var context: Int64 = 0
    public var volumes: Int64 = 0
    public init() {}
}

/// `farm show --json`
public struct BuildDescription: Codable, Sendable {
    public struct Image: Codable, Sendable {
        /// Of the manifest.
        public var digest: Digest
        public var configDigest: Digest
        public init(digest: Digest, configDigest: Digest) {
            self.digest = digest
            self.configDigest = configDigest
        }
    }
    public struct Stage: Codable, Sendable {
        public var name: String
        public var agent: String?
        public var status: Status
        public var attempts: Int
        /// Why the agent was chosen, one line.
        public var placement: String?
        /// The same with all that was compared.
        public var decision: PlacementDecision?
        public var steps: [Step]
        public init(name: String, agent: String?, status: Status, attempts: Int, placement: String?, steps: [Step]) {
            self.name = name
            self.agent = agent
            self.status = status
            self.attempts = attempts
            self.placement = placement
            self.steps = steps
        }
    }
    public struct Step: Codable, Sendable {
        public var name: String
        public var status: Status
        public var cached: Bool
        public var startedAt: Timestamp?
        public var finishedAt: Timestamp?
        public var exitCode: Int?
        public var bytes: ReceivedBytes
        public init(name: String, status: Status = .queued) {
            self.name = name
            self.status = status
            cached = false
            bytes = ReceivedBytes()
        }
    }
    public var id: String
    public var project: String
    public var status: Status
    public var createdAt: Timestamp
    public var startedAt: Timestamp?
    public var finishedAt: Timestamp?
    /// Where its image runs.
    public var platform: Platform?
    /// Among its user's builds, from -3 to 3; 0 where nothing was asked for.
    public var priority: Int?
    /// Processors and bytes of memory that each stage reserves; nil for a slot alone.
    public var cpus: Double?
    public var memory: Int64?
    /// Labels that its agents must have, and had better have; nil for none.
    public var require: [String: String]?
    public var prefer: [String: String]?
    public var error: String?
    /// Of the target.
    public var image: Image?
    /// By name, where the file makes several.
    public var images: [String: Image]?
    public var stages: [Stage]

    public init(id: String, project: String, status: Status, createdAt: Timestamp, stages: [Stage] = []) {
        self.id = id
        self.project = project
        self.status = status
        self.createdAt = createdAt
        self.stages = stages
    }
}

/// One line of `GET /api/v1/builds/{id}/events?after=N`: JSON, one a line, from N+1 on, until `finished`.
public struct BuildEvent: Codable, Sendable {
    /// From 1, without gaps.
    public var sequence: Int
    public var time: Timestamp
    public var kind: Kind

    public enum Kind: Codable, Sendable {
        /// The plan is made: the steps' names by stage.
        case planned(stages: [PlannedStage])
        /// The coordinator lacks file contents: `GET …/needs`, then `POST …/contents`.
        case needsContents(files: Int)
        case stageStarted(stage: Int, agent: String, attempt: Int)
        case stepStarted(stage: Int, step: Int)
        /// Output of a step; `text` has whole or partial lines, invalid UTF-8 repaired.
        case log(stage: Int, step: Int, text: String)
        case stepFinished(stage: Int, step: Int, status: Status, cached: Bool, exitCode: Int?, error: String?, bytes: ReceivedBytes)
        /// The stage goes on elsewhere.
        case stageRetried(stage: Int, reason: String)
        case warning(text: String)
        /// `images`: by name, where the file makes several.
        case finished(status: Status, error: BuildFailure?, image: BuildDescription.Image?, images: [String: BuildDescription.Image]? = nil)
        /// A step that is about to run needs secrets that the coordinator does not have (any more): `POST …/secrets`.
        case needsSecrets(ids: [String])
        /// The step runs on an agent for another build, or for another stage of this one; its output follows here too. Then ``stepFinished`` comes, or
        /// ``stageRetried`` when it did not get there.
        case stepShared(stage: Int, step: Int, build: String, agent: String)
    }

    public struct PlannedStage: Codable, Sendable {
        public var name: String
        public var steps: [String]
        /// First lines of the steps in the Dockerfile.
        public var lines: [ClosedRange<Int>]
        public init(name: String, steps: [String], lines: [ClosedRange<Int>]) {
            self.name = name
            self.steps = steps
            self.lines = lines
        }
    }

    public init(sequence: Int, time: Timestamp, kind: Kind) {
        self.sequence = sequence
        self.time = time
        self.kind = kind
    }
}

/// Why a build failed.
public struct BuildFailure: Codable, Sendable, Hashable {
    /// What went wrong, on what, and what to do.
    public var message: String
    /// Lines of the Dockerfile, from 1.
    public var lines: ClosedRange<Int>?
    /// Of the step's command.
    public var exitCode: Int?
    public init(message: String, lines: ClosedRange<Int>? = nil, exitCode: Int? = nil) {
        self.message = message
        self.lines = lines
        self.exitCode = exitCode
    }
}

/// A row of `farm agents`. `GET /api/v1/agents`
public struct AgentDescription: Codable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        case ready, draining, lost
        /// It failed too often.
        case setAside = "set-aside"
    }
    /// A measured bandwidth.
    public struct Bandwidth: Codable, Sendable, Hashable {
        /// Another agent; nil for the coordinator.
        public var from: String?
        public var bytesPerSecond: Double
        public init(from: String?, bytesPerSecond: Double) {
            self.from = from
            self.bytesPerSecond = bytesPerSecond
        }
    }
    /// Why an agent gets no stages, or only one at a time.
    public struct SetAside: Codable, Sendable, Hashable {
        public var reason: String
        public var until: Timestamp
        /// The time is over: it gets one stage at a time until it has run one.
        public var isOnTrial: Bool
        public init(reason: String, until: Timestamp, isOnTrial: Bool) {
            self.reason = reason
            self.until = until
            self.isOnTrial = isOnTrial
        }
    }
    public var name: String
    public var state: State
    public var labels: [String: String]
    public var slots: Int
    public var running: Int
    /// `host:port` of its peer server.
    public var address: String
    /// The OCI runtime that works there.
    public var runtime: String
    public var version: String
    public var lastSeen: Timestamp
    /// Volumes whose newest generation no other agent has that is there and not draining: what would be lost with this one.
    public var onlyHere = 0
    /// Bytes that are left on its disk, as it last said.
    public var freeBytes: Int64?
    /// What was measured of the bytes a second that it receives.
    public var receives: [Bandwidth]?
    /// There while it is set aside or on trial after that; `farm resume` ends it.
    public var setAside: SetAside?
    /// Processors and bytes of memory that stages can reserve there; 0 where they can't.
    public var cpus = 0.0
    public var memory: Int64 = 0
    /// What of them running stages have reserved.
    public var reservedCPUs = 0.0
    public var reservedMemory: Int64 = 0
    /// What it runs by emulation.
    public var emulated: [Platform] = []
    public init(
        name: String, state: State, labels: [String: String], slots: Int, running: Int, address: String, runtime: String, version: String,
        lastSeen: Timestamp
    ) {
        self.name = name
        self.state = state
        self.labels = labels
        self.slots = slots
        self.running = running
        self.address = address
        self.runtime = runtime
        self.version = version
        self.lastSeen = lastSeen
    }
}

/// A row of `farm volumes`. `GET /api/v1/volumes`
public struct VolumeDescription: Codable, Sendable {
    public struct Holder: Codable, Sendable {
        public var agent: String
        public var generation: Int
        public init(agent: String, generation: Int) {
            self.agent = agent
            self.generation = generation
        }
    }
    public var project: String
    public var id: String
    public var platform: Platform
    public var generation: Int
    public var bytes: Int64
    public var files: Int64
    public var holders: [Holder]
    /// Agents that are there, not draining, and have the newest generation.
    public var copies = 0
    /// When a step last got it.
    public var lastUsed: Timestamp?
    /// When its newest generation was published.
    public var changedAt: Timestamp?
    /// Whether a step has it or waits for it.
    public var inUse = false
    public init(project: String, id: String, platform: Platform, generation: Int, bytes: Int64, files: Int64, holders: [Holder]) {
        self.project = project
        self.id = id
        self.platform = platform
        self.generation = generation
        self.bytes = bytes
        self.files = files
        self.holders = holders
    }
}

/// A row of `farm image list`. `GET /api/v1/images`
public struct ImageDescription: Codable, Sendable {
    public var name: String
    public var platform: Platform
    public var bytes: Int64
    public var layers: Int
    public var importedAt: Timestamp
    public init(name: String, platform: Platform, bytes: Int64, layers: Int, importedAt: Timestamp) {
        self.name = name
        self.platform = platform
        self.bytes = bytes
        self.layers = layers
        self.importedAt = importedAt
    }
}

/// The form of an exported result. `GET /api/v1/builds/{id}/export?type=…&tag=…&compression=…`
public enum ExportType: String, Codable, Sendable, Hashable {
    /// An OCI image layout in a tar.
    case oci
    /// What `docker load` reads.
    case docker
    /// The root file system as one tar; `local` is the same, unpacked by the client.
    case tar
}

/// The body of every response with status 400 or more.
public struct APIError: Error, Codable, Sendable {
    /// What went wrong, on what, and what to do.
    public var message: String
    public init(message: String) { self.message = message }
}
