import BuildPlan
import Digests
import FarmAPI

/// A row of the build table.
public struct StoredBuild: Sendable {
    public var id: String
    public var user: String
    public var request: SubmitRequest
    public var platform: Platform
    public var status: Status
    /// The context's directories are all there.
    public var uploaded: Bool
    /// nil until the plan is made.
    public var plan: StoredPlan?
    public var createdAt: Timestamp
    public var startedAt: Timestamp?
    public var finishedAt: Timestamp?
    public var failure: BuildFailure?
    public var image: StoredResult?
    /// By name, where the plan makes several.
    public var images: [String: StoredResult]?

    /// A build that was just submitted.
    public init(id: String, user: String, request: SubmitRequest, platform: Platform, uploaded: Bool, createdAt: Timestamp) {
        self.id = id
        self.user = user
        self.request = request
        self.platform = platform
        self.uploaded = uploaded
        self.createdAt = createdAt
        status = .queued
    }
}

/// A plan with what it was resolved against, so that a restart goes on with the same images.
public struct StoredPlan: Codable, Sendable {
    public var plan: Plan
    /// By the name that the plan gives.
    public var images: [String: BaseImage]

    /// A resolved plan.
    public init(plan: Plan, images: [String: BaseImage]) {
        self.plan = plan
        self.images = images
    }
}

/// What a build made.
public struct StoredResult: Codable, Sendable, Hashable {
    public var digest: Digest
    public var configDigest: Digest
    /// The exact bytes.
    public var manifest: String
    public var config: String
    /// Lowest first.
    public var layers: [LayerDescriptor]

    /// A result.
    public init(digest: Digest, configDigest: Digest, manifest: String, config: String, layers: [LayerDescriptor]) {
        self.digest = digest
        self.configDigest = configDigest
        self.manifest = manifest
        self.config = config
        self.layers = layers
    }
}

/// A row of the stage table.
public struct StoredStage: Sendable {
    public var build: String
    public var number: Int
    public var name: String
    public var status: Status
    public var agent: String?
    public var attempts: Int
    /// Of the attempts, those that do not count: the stage was given back without any trouble.
    public var excused: Int
    /// Why it is where it is, one line.
    public var placement: String?
    /// The same with all that was compared.
    public var decision: PlacementDecision?

    /// A stage that waits.
    public init(build: String, number: Int, name: String) {
        self.build = build
        self.number = number
        self.name = name
        status = .queued
        attempts = 0
        excused = 0
    }

    /// Attempts that count, the one that is under way among them.
    public var failures: Int { attempts - excused }
}

/// A row of the step table.
public struct StoredStep: Sendable {
    public var build: String
    public var stage: Int
    public var number: Int
    public var name: String
    public var status: Status
    public var cached: Bool
    public var startedAt: Timestamp?
    public var finishedAt: Timestamp?
    public var exitCode: Int?
    public var key: Digest?
    public var layer: LayerDescriptor?
    /// When the layer was made, maybe by another build.
    public var createdAt: Timestamp?
    /// As ``StoredRecord/files``.
    public var files: Digest?
    public var bytes: ReceivedBytes

    /// A step that waits.
    public init(build: String, stage: Int, number: Int, name: String) {
        self.build = build
        self.stage = stage
        self.number = number
        self.name = name
        status = .queued
        cached = false
        bytes = ReceivedBytes()
    }
}

/// A step's result by its key.
public struct StoredRecord: Sendable, Hashable {
    public var key: Digest
    public var layer: LayerDescriptor
    public var createdAt: Timestamp
    /// The context root as of which the layer has the repository's files; nil for a step that leaves them as they were.
    public var files: Digest?

    /// A record.
    public init(key: Digest, layer: LayerDescriptor, createdAt: Timestamp, files: Digest? = nil) {
        self.key = key
        self.layer = layer
        self.createdAt = createdAt
        self.files = files
    }
}

/// A row of the agent table.
public struct StoredAgent: Sendable, Hashable {
    public var name: String
    public var labels: [String: String]
    public var slots: Int
    public var address: String
    public var runtime: String
    public var version: String
    /// What of its machine builds may mount.
    public var hostPaths: [String]
    public var resources: AgentResources
    public var drained: Bool
    /// It failed too often. Stored by a change of its own.
    public var setAside: StoredSetAside?
    public var lastSeen: Timestamp
    /// Of its process.
    public var epoch: String
    /// The last report of the epoch that was stored.
    public var report: Int

    /// A row from what the agent said.
    public init(name: String, hello: AgentHello, drained: Bool, lastSeen: Timestamp, report: Int) {
        self.init(
            name: name, labels: hello.labels, slots: hello.slots, address: hello.address, runtime: hello.runtime, version: hello.version,
            hostPaths: hello.hostPaths, resources: hello.resources, drained: drained, lastSeen: lastSeen, epoch: hello.epoch, report: report
        )
    }

    init(
        name: String, labels: [String: String], slots: Int, address: String, runtime: String, version: String,
        hostPaths: [String], resources: AgentResources, drained: Bool, lastSeen: Timestamp, epoch: String, report: Int
    ) {
        self.name = name
        self.labels = labels
        self.slots = slots
        self.address = address
        self.runtime = runtime
        self.version = version
        self.hostPaths = hostPaths
        self.resources = resources
        self.drained = drained
        self.lastSeen = lastSeen
        self.epoch = epoch
        self.report = report
    }
}

/// An agent that gets no stages for a while.
public struct StoredSetAside: Codable, Sendable, Hashable {
    public var reason: String
    public var until: Timestamp
    /// How often it was set aside before, without having been well for long.
    public var level: Int
    /// The time is over: it gets one stage at a time until it has run one.
    public var isOnTrial: Bool

    /// A state.
    public init(reason: String, until: Timestamp, level: Int, isOnTrial: Bool) {
        self.reason = reason
        self.until = until
        self.level = level
        self.isOnTrial = isOnTrial
    }
}

/// A row of the assignment table: a stage that an agent has.
public struct StoredAssignment: Sendable, Hashable {
    public var id: String
    public var build: String
    public var stage: Int
    public var agent: String
    public var epoch: String
    public var attempt: Int
    public var firstStep: Int
    /// Where the agent runs the steps of a build that has ended: what to add to its steps' numbers for this build's.
    public var shift = 0
    /// The last step that is of use to this build; nil for all.
    public var lastStep: Int?

    /// As `stage`: what the agent runs is of no use to anybody.
    public static let nobody = -1

    /// It was another build's before.
    public var isHandedOver: Bool { !id.hasPrefix("\(build)-") }

    /// The build's step, by the agent's number. Numbers come from outside.
    public func step(_ number: Int) -> Int { number &+ shift }

    /// An assignment.
    public init(id: String, build: String, stage: Int, agent: String, epoch: String, attempt: Int, firstStep: Int) {
        self.id = id
        self.build = build
        self.stage = stage
        self.agent = agent
        self.epoch = epoch
        self.attempt = attempt
        self.firstStep = firstStep
    }
}

/// A row of the volume table.
public struct StoredVolume: Sendable, Hashable {
    public var key: VolumeKey
    /// The newest generation's number; numbers are never used twice, not even after a removal.
    public var head: Int
    /// Generations up to this one were removed.
    public var removed: Int
    public var bytes: Int64
    public var files: Int64
    /// When a step last got it; 1970 where that is not known.
    public var lastUse: Timestamp
    /// The newest ones, the oldest first, at most ``publicationLimit``.
    public var publications: [Publication]

    /// Far more than agents are behind each other, or announcements late; some 150 bytes each in the row.
    public static let publicationLimit = 32

    /// How a generation came to be.
    public struct Publication: Codable, Sendable, Hashable {
        public var generation: Int
        /// What it was made from, and its digest: so that a repeated announcement is known.
        public var parent: Int
        public var digest: Digest
        /// Bytes of the files that its delta names.
        public var bytes: Int64
        public var time: Timestamp

        /// A publication.
        public init(generation: Int, parent: Int, digest: Digest, bytes: Int64, time: Timestamp) {
            self.generation = generation
            self.parent = parent
            self.digest = digest
            self.bytes = bytes
            self.time = time
        }
    }

    /// A volume without any generation.
    public init(key: VolumeKey) {
        self.key = key
        head = 0
        removed = 0
        bytes = 0
        files = 0
        lastUse = Timestamp(nanoseconds: 0)
        publications = []
    }
}

/// A row of the lock table: what a step was granted.
public struct StoredLock: Sendable {
    public var lock: String
    public var assignment: String
    public var agent: String
    public var needs: [AcquireVolumes.Need]
    /// One for each need.
    public var forks: [Bool]

    /// A lock.
    public init(lock: String, assignment: String, agent: String, needs: [AcquireVolumes.Need], forks: [Bool]) {
        self.lock = lock
        self.assignment = assignment
        self.agent = agent
        self.needs = needs
        self.forks = forks
    }
}

/// Bytes a second that an agent receives from another machine.
public struct StoredBandwidth: Sendable, Hashable {
    /// Another agent; nil for the coordinator.
    public var from: String?
    public var to: String
    public var rate: Double
    public var measuredAt: Timestamp

    /// A row.
    public init(from: String?, to: String, rate: Double, measuredAt: Timestamp) {
        self.from = from
        self.to = to
        self.rate = rate
        self.measuredAt = measuredAt
    }
}

/// How long a stage usually runs.
public struct StoredDuration: Sendable, Hashable {
    public var project: String
    public var stage: String
    /// How often it ran.
    public var count: Int
    /// Seconds, the later runs weighing more.
    public var mean: Double
    /// Square seconds, of the same weights.
    public var variance: Double

    /// A row.
    public init(project: String, stage: String, count: Int, mean: Double, variance: Double = 0) {
        self.project = project
        self.stage = stage
        self.count = count
        self.mean = mean
        self.variance = variance
    }

    /// Of the mean, the part that the newest run has once there are a few: what a project's stage costs changes with its code.
    public static let newestShare = 0.3

    /// Takes a run of so many seconds. The first few are averaged, so that the first alone does not count for long.
    public mutating func take(_ seconds: Double) {
        guard seconds.isFinite, seconds >= 0 else { return }
        count += 1
        let share = max(Self.newestShare, 1 / Double(count))
        let difference = seconds - mean
        mean += share * difference
        variance = (1 - share) * (variance + share * difference * difference)
    }

    /// One standard deviation, seconds; nil for fewer runs than say anything about it.
    public var deviation: Double? { count < Self.leastRuns ? nil : max(0, variance).squareRoot() }

    /// Two runs that happen to be alike say nothing about a third.
    public static let leastRuns = 3
}
