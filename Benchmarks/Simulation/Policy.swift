import BuildPlan
import Digests
import Scheduling

/// A way to place stages, as the simulator asks it.
public protocol PlacementPolicy {
    var name: String { get }
    mutating func join(_ agent: Int, slots: Int)
    mutating func leave(_ agent: Int)
    mutating func ready(_ stage: SimulatedStage)
    mutating func end(_ stage: SimulatedStage, _ now: Double)
    /// The stage has to be begun anew: its agent died.
    mutating func lost(_ stage: SimulatedStage)
    mutating func hold(layer: Int, _ agent: Int)
    mutating func hold(volume: Int, generation: Int, _ agent: Int)
    /// The agent has received so much in that time.
    mutating func received(_ bytes: Int64, seconds: Double, _ agent: Int)
    /// Stages to start now. Everything that was ready and is not mentioned waits.
    mutating func decide(_ now: Double) -> [(stage: Int, agent: Int)]
}

extension PlacementPolicy {
    // Most don't care.
    public mutating func received(_ bytes: Int64, seconds: Double, _ agent: Int) {}
}

/// A stage that is ready, as the policies see it: without its real duration.
public struct SimulatedStage: Sendable {
    /// In the whole load.
    public var number: Int
    public var build: Int
    public var project: Int
    public var user: Int
    /// The mean of this project's stages of this kind so far; nil for the first.
    public var usualDuration: Double?
    /// A standard deviation of that; nil for the first few.
    public var usualDeviation: Double?
    public var layers: [(layer: Int, bytes: Int64)]
    public var volumes: [(volume: Int, head: Int, bytes: Int64, changes: [Int64])]
}

/// Farm's own scheduler.
public struct FarmPolicy: PlacementPolicy {
    public let name = "farm"
    private var scheduler: Scheduler
    private let spreads: Bool
    private let measures: Bool

    private static let platform = Platform(os: "linux", architecture: "amd64")

    /// Stages of the simulation have their slots to themselves: with hardly any contention.
    ///
    /// - Parameters:
    ///   - copying: nil for the scheduler's own value.
    ///   - copyingBehind: the same.
    ///   - spreads: whether it is told by how much durations differ.
    ///   - measures: whether it is told how fast agents receive.
    public init(copying: Double? = nil, copyingBehind: Double? = nil, spreads: Bool = true, measures: Bool = true) {
        self.spreads = spreads
        self.measures = measures
        var policy = SchedulingPolicy()
        policy.contention = 0.1
        if let copying { policy.copying = copying }
        if let copyingBehind { policy.copyingBehind = copyingBehind }
        scheduler = Scheduler(policy: policy)
    }

    static func agent(_ number: Int) -> String { "agent-\(number)" }
    private static func layer(_ number: Int) -> Digest { Digest.of("layer-\(number)") }

    public mutating func join(_ agent: Int, slots: Int) {
        scheduler.put(AgentProfile(name: Self.agent(agent), platforms: [Self.platform], slots: slots))
    }

    public mutating func leave(_ agent: Int) {
        scheduler.put(AgentProfile(name: Self.agent(agent), platforms: [Self.platform], slots: 1, condition: .lost))
    }

    public mutating func ready(_ stage: SimulatedStage) {
        var demand = StageDemand(
            id: "\(stage.number)", owner: StageOwner(project: "p\(stage.project)", user: "u\(stage.user)", build: "b\(stage.build)"),
            platform: Self.platform)
        demand.usualDuration = stage.usualDuration
        demand.usualDeviation = spreads ? stage.usualDeviation : nil
        demand.layers = stage.layers.map { LayerDescriptor(diffID: Self.layer($0.layer), size: $0.bytes) }
        demand.volumes = stage.volumes.map { VolumeDemand(name: "v\($0.volume)", head: $0.head, bytes: $0.bytes, changes: $0.changes) }
        scheduler.submit(demand)
    }

    public mutating func end(_ stage: SimulatedStage, _ now: Double) { scheduler.end("\(stage.number)", now) }
    public mutating func lost(_ stage: SimulatedStage) { scheduler.withdraw("\(stage.number)") }
    public mutating func hold(layer: Int, _ agent: Int) { scheduler.hold(Self.layer(layer), agent: Self.agent(agent)) }
    public mutating func hold(volume: Int, generation: Int, _ agent: Int) {
        scheduler.hold(volume: "v\(volume)", generation: generation, agent: Self.agent(agent))
    }

    public mutating func received(_ bytes: Int64, seconds: Double, _ agent: Int) {
        // From whom makes no difference here.
        if measures { scheduler.transferred(from: nil, to: Self.agent(agent), bytes: bytes, seconds: seconds) }
    }

    public mutating func decide(_ now: Double) -> [(stage: Int, agent: Int)] {
        scheduler.decide(now).compactMap { stage, decision in
            guard case .place(let placement) = decision, let number = Int(stage), let agent = Int(placement.agent.dropFirst(6)) else {
                return nil
            }
            return (number, agent)
        }
    }
}

/// The ways of others, each with first come, first served.
public struct SimplePolicy: PlacementPolicy {
    public enum Choice: String, CaseIterable, Sendable {
        /// Any agent with a free slot.
        case random
        /// The agent with the most free slots.
        case leastLoaded = "least loaded"
        /// The agent that the project's name hashes to, also when it is busy: what buildx's Kubernetes driver calls sticky.
        case consistentHashing = "consistent hashing"
        /// Of the agents with a free slot the one that has most of the volumes: Concourse's volume locality.
        case volumeLocality = "volume locality"
    }

    public var name: String { choice.rawValue }
    private let choice: Choice
    private var random: SeededGenerator
    private var agents: [Int: Agent] = [:]
    private var queue: [SimulatedStage] = []
    private var ring: [(position: UInt64, agent: Int)] = []

    private struct Agent {
        var slots: Int
        var running: Set<Int> = []
        var volumes: Set<Int> = []
    }

    /// Points of an agent on the ring.
    private static let points = 100

    public init(_ choice: Choice, seed: UInt64) {
        self.choice = choice
        random = SeededGenerator(state: seed)
    }

    public mutating func join(_ agent: Int, slots: Int) {
        agents[agent] = Agent(slots: slots, volumes: kept[agent] ?? [])
        for point in 0..<Self.points { ring.append((Self.position("\(agent)/\(point)"), agent)) }
        ring.sort { $0.position < $1.position }
    }

    public mutating func leave(_ agent: Int) {
        kept[agent] = agents[agent]?.volumes
        agents[agent] = nil
        ring.removeAll { $0.agent == agent }
    }

    /// The disks of those that are away.
    private var kept: [Int: Set<Int>] = [:]

    public mutating func ready(_ stage: SimulatedStage) { queue.append(stage) }
    public mutating func end(_ stage: SimulatedStage, _ now: Double) { free(stage) }
    public mutating func lost(_ stage: SimulatedStage) { free(stage) }
    public mutating func hold(layer: Int, _ agent: Int) {}
    public mutating func hold(volume: Int, generation: Int, _ agent: Int) { agents[agent]?.volumes.insert(volume) }

    private mutating func free(_ stage: SimulatedStage) {
        for agent in agents.keys where agents[agent]?.running.remove(stage.number) != nil { return }
    }

    public mutating func decide(_ now: Double) -> [(stage: Int, agent: Int)] {
        var decisions: [(stage: Int, agent: Int)] = []
        var waiting: [SimulatedStage] = []
        for stage in queue {
            if let agent = choose(stage) {
                agents[agent]?.running.insert(stage.number)
                decisions.append((stage.number, agent))
            } else {
                waiting.append(stage)
            }
        }
        queue = waiting
        return decisions
    }

    private mutating func choose(_ stage: SimulatedStage) -> Int? {
        if choice == .consistentHashing {
            let position = Self.position("p\(stage.project)")
            guard let agent = (ring.first { $0.position >= position } ?? ring.first)?.agent, isFree(agent) else { return nil }
            return agent
        }
        let free = agents.keys.filter { isFree($0) }.sorted()
        switch choice {
        case .random, .consistentHashing: return free.randomElement(using: &random)
        case .leastLoaded:
            let least = free.map { agents[$0]?.running.count ?? 0 }.min()
            return free.filter { agents[$0]?.running.count == least }.randomElement(using: &random)
        case .volumeLocality:
            func held(_ agent: Int) -> Int { stage.volumes.count { agents[agent]?.volumes.contains($0.volume) ?? false } }
            let most = free.map(held).max()
            return free.filter { held($0) == most }.randomElement(using: &random)
        }
    }

    private func isFree(_ agent: Int) -> Bool { agents[agent].map { $0.running.count < $0.slots } ?? false }

    /// FNV-1a, then mixed: neighbours in name are far apart on the ring.
    private static func position(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        var generator = SeededGenerator(state: hash)
        return generator.next()
    }
}
