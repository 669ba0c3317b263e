/// What came out of a simulation.
public struct Figures: Codable, Sendable {
    public var policy: String
    public var load: String
    public var agents: Int
    public var stages: Int
    public var volumes: Int
    /// Stages that were given to an agent, those twice that were lost with theirs.
    public var decisions = 0
    /// Wall time of the policy alone, and of the whole simulation.
    public var policySeconds = 0.0
    public var seconds = 0.0
    /// When the last stage ended, and when it could have ended at the earliest.
    public var makespan = 0.0
    public var lowerBound: Double
    /// Over the network.
    public var bytes: Int64 = 0
    /// From when a stage could run to when it ran with its inputs there: mean, median, 99th percentile.
    public var meanWait = 0.0
    public var medianWait = 0.0
    public var waitPercentile99 = 0.0
    /// Of the mean: the part in which the inputs were brought.
    public var meanTransfer = 0.0
    /// Jain's index of the projects' mean slowdowns: 1 when the builds of all projects take the same multiple of their least time.
    public var fairness = 0.0

    /// Of the policy's own time.
    public var decisionsPerSecond: Double { policySeconds > 0 ? Double(decisions) / policySeconds : 0 }

    var waits: [Double] = []
    var transfers = 0.0
    private var arrivals: [Double]
    private var least: [Double]
    private var projects: [Int]
    private var ends: [Double]

    private enum CodingKeys: String, CodingKey {
        case policy, load, agents, stages, volumes, decisions, policySeconds, seconds, makespan, lowerBound, bytes, meanWait, medianWait
        case waitPercentile99, meanTransfer, fairness
    }

    /// Reads those that were written.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        policy = try container.decode(String.self, forKey: .policy)
        load = try container.decode(String.self, forKey: .load)
        agents = try container.decode(Int.self, forKey: .agents)
        stages = try container.decode(Int.self, forKey: .stages)
        volumes = try container.decode(Int.self, forKey: .volumes)
        decisions = try container.decode(Int.self, forKey: .decisions)
        policySeconds = try container.decode(Double.self, forKey: .policySeconds)
        seconds = try container.decode(Double.self, forKey: .seconds)
        makespan = try container.decode(Double.self, forKey: .makespan)
        lowerBound = try container.decode(Double.self, forKey: .lowerBound)
        bytes = try container.decode(Int64.self, forKey: .bytes)
        meanWait = try container.decode(Double.self, forKey: .meanWait)
        medianWait = try container.decode(Double.self, forKey: .medianWait)
        waitPercentile99 = try container.decode(Double.self, forKey: .waitPercentile99)
        meanTransfer = try container.decode(Double.self, forKey: .meanTransfer)
        fairness = try container.decode(Double.self, forKey: .fairness)
        (arrivals, least, projects, ends) = ([], [], [], [])
    }

    init(policy: String, load: Load) {
        self.policy = policy
        self.load = load.name
        agents = load.agents.count
        stages = load.stageCount
        volumes = load.volumes.count
        lowerBound = load.lowerBound
        arrivals = load.builds.map(\.arrives)
        least = load.builds.map { Load.criticalPath($0) }
        projects = load.builds.map(\.project)
        ends = Array(repeating: 0, count: load.builds.count)
    }

    /// A stage of the build has ended.
    mutating func ended(build: Int, project: Int, at time: Double) {
        makespan = max(makespan, time)
        ends[build] = max(ends[build], time)
    }

    /// Sums up.
    mutating func close() {
        waits.sort()
        if !waits.isEmpty {
            meanWait = waits.reduce(0, +) / Double(waits.count)
            meanTransfer = transfers / Double(waits.count)
            medianWait = waits[waits.count / 2]
            waitPercentile99 = waits[min(waits.count - 1, waits.count * 99 / 100)]
        }
        waits = []
        var slowdowns: [Int: (sum: Double, count: Double)] = [:]
        for build in ends.indices where least[build] > 0 {
            let slowdown = (ends[build] - arrivals[build]) / least[build]
            slowdowns[projects[build], default: (0, 0)].sum += slowdown
            slowdowns[projects[build], default: (0, 0)].count += 1
        }
        let means = slowdowns.sorted { $0.key < $1.key }.map { $0.value.sum / $0.value.count }
        let squares = means.reduce(0) { $0 + $1 * $1 }
        let sum = means.reduce(0, +)
        fairness = squares > 0 ? sum * sum / (Double(means.count) * squares) : 1
    }
}
