import BuildPlan

/// Who waits for a stage: fair shares are given to projects, in a project to its users, of a user's to the builds.
public struct StageOwner: Sendable, Hashable {
    public var project: String
    public var user: String
    public var build: String
    /// From -3 to 3: each step doubles the build's share among the builds of its user, and its user's among the project's.
    public var priority: Int

    /// The values that ``priority`` may have: a share of one eighth to eight times.
    public static let priorities = -3...3

    /// An owner of its parts; the priority is brought into its range.
    public init(project: String, user: String, build: String, priority: Int = 0) {
        self.project = project
        self.user = user
        self.build = build
        self.priority = min(max(priority, Self.priorities.lowerBound), Self.priorities.upperBound)
    }
}

/// A volume that a stage will mount, as it is now.
public struct VolumeDemand: Sendable, Hashable {
    /// A name that is one to one with the volume.
    public var name: String
    /// The newest generation.
    public var head: Int
    /// Bytes of the newest generation.
    public var bytes: Int64
    /// Bytes that the newest generations changed, the head's first; as many as are known.
    public var changes: [Int64]

    /// A volume's size and state.
    public init(name: String, head: Int, bytes: Int64, changes: [Int64] = []) {
        self.name = name
        self.head = head
        self.bytes = bytes
        self.changes = changes
    }

    /// Of a volume's bytes, the part that is taken to change from one generation to the next, where no generation's change is known.
    static let unknownChange = 0.1

    /// What an agent lacks that has `generation`, 0 for none: what was changed since, and never more than the whole.
    public func missingBytes(since generation: Int) -> Int64 {
        guard head > 0, bytes > 0, generation != head else { return 0 }
        // What is not of this history is brought anew.
        guard generation > 0, generation < head else { return bytes }
        let behind = head - generation
        let known = changes.prefix(behind)
        var sum = known.reduce(Int64(0)) { $0.addingSize($1) }
        if known.count < behind {
            // The generations before those that are known are taken to have changed as much.
            let each = known.isEmpty ? Double(bytes) * Self.unknownChange : Double(sum) / Double(known.count)
            let unknown = each * Double(behind - known.count)
            sum = sum.addingSize(unknown < Double(bytes) ? Int64(unknown) : bytes)
        }
        return min(bytes, sum)
    }
}

/// A stage that is ready to run, as placement sees it.
public struct StageDemand: Sendable, Hashable {
    /// Of the stage; the caller's, unique among those that wait or run.
    public var id: String
    public var owner: StageOwner
    public var platform: Platform
    /// Labels that the agent must have.
    public var require: [String: String]
    /// Labels that make an agent better.
    public var prefer: [String: String]
    /// All layers that it mounts, each once.
    public var layers: [LayerDescriptor]
    /// Bytes of the context that its steps read; no agent is taken to have any.
    public var contextBytes: Int64
    public var volumes: [VolumeDemand]
    /// Paths of the agent's machine that it mounts.
    public var hostPaths: [String]
    /// Seconds that it usually runs; nil when it never ran.
    public var usualDuration: Double?
    /// A standard deviation of that, seconds; nil when too little is known.
    public var usualDeviation: Double?
    /// Processors that are reserved for it; 0 for a slot alone.
    public var cpus: Double
    /// Bytes of memory that are reserved for it.
    public var memory: Int64
    /// Agents that could not run it: taken only when there is no other.
    public var avoid: Set<String>

    /// A stage without inputs.
    public init(id: String, owner: StageOwner = StageOwner(project: "", user: "", build: ""), platform: Platform) {
        self.id = id
        self.owner = owner
        self.platform = platform
        require = [:]
        prefer = [:]
        layers = []
        contextBytes = 0
        volumes = []
        hostPaths = []
        cpus = 0
        memory = 0
        avoid = []
    }

    /// What of it decides which agents could run it at all.
    var requirements: Requirements { Requirements(platform: platform, require: require, hostPaths: hostPaths, cpus: cpus, memory: memory) }

    struct Requirements: Hashable {
        var platform: Platform
        var require: [String: String]
        var hostPaths: [String]
        var cpus: Double
        var memory: Int64
    }
}

extension Int64 {
    // Sizes come from agents: a sum that does not fit must not end the coordinator.
    func addingSize(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(Swift.max(0, other))
        return overflow ? .max : sum
    }
}
