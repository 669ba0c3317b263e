import BuildPlan

/// An order to hold a copy of a volume's newest generation, so that the loss of one machine loses no cache. The agent obeys when it has
/// nothing better to do, and answers by ``CopyOutcome``.
public struct CopyOrder: Codable, Sendable {
    public var key: VolumeKey
    /// The head when the order was given.
    public var generation: Int
    /// Agents to fetch it from, newest first.
    public var holders: [Holder]
    public init(key: VolumeKey, generation: Int, holders: [Holder]) {
        self.key = key
        self.generation = generation
        self.holders = holders
    }
}

/// `POST /api/v1/agent/volumes/copied`, 204: what became of a ``CopyOrder``.
public struct CopyOutcome: Codable, Sendable {
    public var key: VolumeKey
    /// The generation that is here now; 0 for none.
    public var generation: Int
    /// Bytes that came over the network.
    public var received: Int64
    /// Why it is not the generation that was ordered.
    public var error: String?
    public init(key: VolumeKey, generation: Int, received: Int64, error: String? = nil) {
        self.key = key
        self.generation = generation
        self.received = received
        self.error = error
    }
}

/// `POST /api/v1/agent/volumes/collect`: the disk here is fuller than it shall be; which of these volumes may go? ``CollectAnswer``.
public struct CollectVolumes: Codable, Sendable {
    /// A volume here that no step uses.
    public struct Candidate: Codable, Sendable {
        public var key: VolumeKey
        /// What removing it gives back, as far as the agent knows.
        public var bytes: Int64
        public init(key: VolumeKey, bytes: Int64) {
            self.key = key
            self.bytes = bytes
        }
    }
    public var candidates: [Candidate]
    /// So much is to be freed.
    public var bytes: Int64
    /// Whether the last copy of a head may go: the last resort.
    public var lastCopies: Bool
    /// Whether nothing can be written any more, so that no last copy can wait until another agent has it; nil for no.
    public var isFull: Bool?
    public init(candidates: [Candidate], bytes: Int64, lastCopies: Bool, isFull: Bool? = nil) {
        self.candidates = candidates
        self.bytes = bytes
        self.lastCopies = lastCopies
        self.isFull = isFull
    }
}

/// The volumes that the agent is to remove now: the coordinator does not count it among their holders any more.
public struct CollectAnswer: Codable, Sendable {
    public var volumes: [VolumeKey]
    /// Bytes of last copies that may go when another agent has them, which is being seen to: the agent asks again. Nil for none.
    public var awaited: Int64?
    public init(volumes: [VolumeKey]) { self.volumes = volumes }
}

/// `POST /api/v1/agent/volumes/suspect`, 204: what a holder gives is not what its manifest says. The coordinator has it verified there.
public struct SuspectVolume: Codable, Sendable {
    public var key: VolumeKey
    /// The agent whose copy it is.
    public var holder: String
    /// What was seen.
    public var reason: String
    public init(key: VolumeKey, holder: String, reason: String) {
        self.key = key
        self.holder = holder
        self.reason = reason
    }
}

/// An order to read everything of a volume's generation here, to compare it with its manifests, and to mend it. The answer is a
/// ``VerifyReport`` by the same id.
public struct VerifyOrder: Codable, Sendable {
    public var id: String
    public var key: VolumeKey
    /// The newest generation.
    public var head: Int
    /// Other agents that have it, newest first.
    public var holders: [Holder]
    public init(id: String, key: VolumeKey, head: Int, holders: [Holder]) {
        self.id = id
        self.key = key
        self.head = head
        self.holders = holders
    }
}

/// `POST /api/v1/agent/volumes/verified`, 204.
public struct VerifyReport: Codable, Sendable {
    public var id: String
    /// The agent's generation when it began.
    public var generation: Int
    /// The agent's generation now: less where a damaged one was dropped, 0 where nothing is left.
    public var left: Int
    public var files: Int64
    public var bytes: Int64
    /// At most ``VolumeVerification/damageLimit`` of what was found.
    public var damage: [VolumeDamage]
    public var outcome: VolumeVerification.Outcome
    /// Why it could not be verified, or mended.
    public var error: String?
    public init(
        id: String, generation: Int, left: Int, files: Int64, bytes: Int64, damage: [VolumeDamage],
        outcome: VolumeVerification.Outcome, error: String? = nil
    ) {
        self.id = id
        self.generation = generation
        self.left = left
        self.files = files
        self.bytes = bytes
        self.damage = damage
        self.outcome = outcome
        self.error = error
    }
}

/// Something in a volume that is not what its manifest says.
public struct VolumeDamage: Codable, Sendable, Hashable {
    /// In the volume; what is not UTF-8 is shown as such.
    public var path: String
    public var what: String
    public init(path: String, what: String) {
        self.path = path
        self.what = what
    }
}

/// A line of `farm volumes verify`: one volume on one of its holders. `POST /api/v1/volumes/verify?project=&id=` answers with a stream of
/// them, JSON, one a line.
public struct VolumeVerification: Codable, Sendable {
    /// How it ended there.
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        /// All is as it should be.
        case sound
        /// It was damaged and is whole again, brought from another holder.
        case repaired
        /// It was damaged and nobody else had it: what was damaged is not there any more.
        case dropped
        /// It is damaged and still there.
        case damaged
        /// It could not be looked at.
        case unverified
    }

    /// More of one volume is not listed.
    public static let damageLimit = 1000

    public var project: String
    public var id: String
    public var platform: Platform
    public var agent: String
    public var generation: Int
    /// The agent's generation afterwards.
    public var left: Int
    public var files: Int64
    public var bytes: Int64
    public var damage: [VolumeDamage]
    public var outcome: Outcome
    public var error: String?

    /// What an agent said, with the volume's name.
    public init(key: VolumeKey, agent: String, report: VerifyReport) {
        project = key.project
        id = key.id
        platform = key.platform
        self.agent = agent
        generation = report.generation
        left = report.left
        files = report.files
        bytes = report.bytes
        damage = report.damage
        outcome = report.outcome
        error = report.error
    }

    /// Whether the farm has less than before, or something that can't be trusted.
    public var isLoss: Bool { outcome != .sound && outcome != .repaired }
}
