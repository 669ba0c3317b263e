import BuildPlan

/// Whether an agent gets new stages.
public enum AgentCondition: Sendable, Hashable {
    case ready
    case draining
    /// It does not answer.
    case lost
    /// It has failed too often; with the reason.
    case setAside(String)

    /// For messages.
    public var text: String {
        switch self {
        case .ready: "ready"
        case .draining: "draining"
        case .lost: "lost"
        case .setAside(let reason): "set aside (\(reason))"
        }
    }
}

/// An agent as placement sees it: what it is, not what it holds or runs.
public struct AgentProfile: Sendable, Hashable {
    /// Its name; ties are broken by it.
    public var name: String
    /// Labels that builds can require or prefer.
    public var labels: [String: String]
    /// What its processor runs.
    public var platforms: [Platform]
    /// What it runs by emulation, where its operator allows that.
    public var emulated: [Platform]
    /// So many stages at a time, from 1 to ``maximumSlots``.
    public var slots: Int
    /// Processors that stages can reserve; 0: not known, none can be reserved.
    public var cpus: Double
    /// Bytes of memory that stages can reserve; 0: not known, none can be reserved.
    public var memory: Int64
    /// The most of them that one stage can have; nil for all.
    public var stageCPUs: Double?
    public var stageMemory: Int64?
    /// Why nothing can be reserved there, for messages.
    public var withoutLimits: String?
    /// What of its machine builds may mount: absolute and clean paths, each with all that is below it.
    public var hostPaths: [String] = []
    public var condition: AgentCondition

    /// More are not counted: the number comes from the agent, and memory is taken for each.
    public static let maximumSlots = 1024

    /// An agent that is ready.
    public init(
        name: String, labels: [String: String] = [:], platforms: [Platform], emulated: [Platform] = [], slots: Int, cpus: Double = 0,
        memory: Int64 = 0, condition: AgentCondition = .ready
    ) {
        self.name = name
        self.labels = labels
        self.platforms = platforms
        self.emulated = emulated
        self.slots = min(max(1, slots), Self.maximumSlots)
        self.cpus = cpus.isFinite ? max(0, cpus) : 0
        self.memory = max(0, memory)
        self.condition = condition
    }

    /// Whether the agent, idle and ready, could run the stage.
    func suits(_ stage: StageDemand) -> Bool {
        hasLabels(stage.require) && runs(stage.platform) && isLargeEnough(for: stage) && refused(stage) == nil
    }

    /// The first thing that keeps the stage from this agent as it is now; nil for none.
    func objection(to stage: StageDemand) -> String? {
        let missing = stage.require.filter { labels[$0.key] != $0.value }
        if !missing.isEmpty { return "it has not the label \(Explanation.labels(missing))" }
        if !runs(stage.platform) { return "it does not run \(stage.platform)" }
        if !isLargeEnough(for: stage) {
            if let withoutLimits { return "no stage can reserve anything there: \(withoutLimits)" }
            return "a stage can have \(Explanation.number(largestCPUs)) CPUs and \(Explanation.bytes(largestMemory)) of memory there"
        }
        if let path = refused(stage) { return "it does not let builds mount \(path)" }
        return condition == .ready ? nil : "it is \(condition.text)"
    }

    /// The first path that the stage mounts and that is not allowed here.
    func refused(_ stage: StageDemand) -> String? { stage.hostPaths.first { !Self.allows($0, among: hostPaths) } }

    /// True for a path of the list, and for one below it. Both are absolute and clean.
    public static func allows(_ path: String, among allowed: [String]) -> Bool {
        allowed.contains { $0 == path || path.hasPrefix($0 == "/" ? "/" : $0 + "/") }
    }

    func hasLabels(_ required: [String: String]) -> Bool { required.allSatisfy { labels[$0.key] == $0.value } }
    func runs(_ platform: Platform) -> Bool { platforms.contains(platform) || emulated.contains(platform) }
    // What is no number is not less than anything: it refuses nothing.
    func isLargeEnough(for stage: StageDemand) -> Bool { !(stage.cpus > largestCPUs) && stage.memory <= largestMemory }

    /// The most that one stage can reserve there.
    var largestCPUs: Double { min(cpus, stageCPUs ?? cpus) }
    var largestMemory: Int64 { min(memory, stageMemory ?? memory) }
}
