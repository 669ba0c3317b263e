import BuildPlan
import Digests

/// An agent as placement sees it.
public struct AgentSnapshot: Sendable, Hashable {
    /// Whether the agent gets new stages.
    public enum Condition: String, Sendable, Hashable { case ready, draining, lost }

    /// Its name; ties are broken by it.
    public var name: String
    /// Labels that builds can require.
    public var labels: [String: String]
    /// What runs there.
    public var platforms: [Platform]
    /// So many stages at a time, from 1 to ``maximumSlots``.
    public var slots: Int
    public var condition: Condition
    /// The seconds that each running stage is expected to go on.
    public var running: [Double]
    /// Layers on its disk.
    public var layers: Set<Digest>
    /// Generations on its disk by volume.
    public var volumes: [String: Int]

    /// What of its machine builds may mount: absolute and clean paths, each with all that is below it.
    public var hostPaths: [String]

    /// More are not counted: the number comes from the agent, and memory is taken for each.
    public static let maximumSlots = 1024

    /// An idle agent with an empty disk.
    public init(name: String, labels: [String: String], platforms: [Platform], slots: Int) {
        self.name = name
        self.labels = labels
        self.platforms = platforms
        self.slots = min(max(1, slots), Self.maximumSlots)
        condition = .ready
        running = []
        layers = []
        volumes = [:]
        hostPaths = []
    }
}

/// A volume that a stage will mount.
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
}

/// A stage that is ready to run, as placement sees it.
public struct StageDemand: Sendable, Hashable {
    /// Of the stage; the caller's.
    public var id: String
    public var platform: Platform
    /// Labels that the agent must have.
    public var require: [String: String]
    /// All layers that it mounts, each once.
    public var layers: [LayerDescriptor]
    /// Bytes of the context that its steps read; no agent is taken to have any.
    public var contextBytes: Int64
    public var volumes: [VolumeDemand]
    /// Paths of the agent's machine that it mounts.
    public var hostPaths: [String]
    /// Seconds that it usually runs; nil when it never ran.
    public var usualDuration: Double?
    /// Agents that could not run it: taken only when there is no other.
    public var avoid: Set<String>

    /// A stage without inputs.
    public init(id: String, platform: Platform) {
        self.id = id
        self.platform = platform
        require = [:]
        layers = []
        contextBytes = 0
        volumes = []
        hostPaths = []
        avoid = []
    }
}

/// The constants of the estimate.
public struct SchedulingPolicy: Sendable, Hashable {
    /// Bytes a second between any two machines, until they are measured: a gigabit link.
    public var bandwidth: Double = 110e6
    /// Seconds of a stage that never ran: long enough that an idle agent is worth a gigabyte moved.
    public var unknownDuration: Double = 20
    /// How much longer a stage takes for each other one on the agent: they share its processors.
    public var contention: Double = 0.5
    /// Of a volume's bytes, the part that changes from one generation to the next, where no generation's change is known.
    public var volumeChange: Double = 0.1

    /// The defaults.
    public init() {}
}
