/// The constants of the estimate and of fairness.
public struct SchedulingPolicy: Sendable, Hashable {
    /// Bytes a second between any two machines, until they are measured: a gigabit link.
    public var bandwidth: Double = 110e6
    /// Seconds of a stage that never ran: long enough that an idle agent is worth a gigabyte moved.
    public var unknownDuration: Double = 20
    /// Of the time that it takes to bring a volume or layer to an agent, the part that counts in the comparison: the copy serves later stages
    /// too. 1 moves least; less makes more copies, and so shorter waits later. By simulation.
    public var copying: Double = 0.5
    /// The same while at least as many stages wait as there are slots: then a slot that copies keeps another stage waiting. By simulation.
    public var copyingBehind: Double = 2
    /// How much longer a stage takes on an agent that is otherwise full than on one that is idle: stages share processors and disks. Where they
    /// don't, a tenth is enough to keep slots free where caches are.
    public var contention: Double = 0.5
    /// How much longer a stage takes by emulation: what an interpreter of machine code costs.
    public var emulation: Double = 8
    /// Seconds that a preferred label is worth: a wish, which a short queue or a small cache does not outweigh, and a long one does.
    public var preference: Double = 10
    /// A stage that has run longer than usual is expected to go on for this part of the time that it has run.
    public var overdueShare: Double = 0.25
    /// Up to so many agents, all are compared for each stage; beyond, those that hold its inputs and the first to be free.
    public var exhaustive: Int = 64
    /// So many agents are compared of each group beyond that: enough that the best of them is rarely worse than the best of all.
    public var sample: Int = 16
    /// Looking for the first to be free that suit, so many are looked at before the search goes over all.
    public var walk: Int = 512
    /// A stage that waits for an agent is compared anew after so many seconds, when there is a free slot somewhere.
    public var reconsider: Double = 1
    /// The weight of a project; 1 where there is none.
    public var weights: [String: Double] = [:]
    /// The weight of a user among those of a project; 1 where there is none.
    public var userWeights: [String: Double] = [:]
    /// How many stages of a project run at a time; none where there is none.
    public var limits: [String: Int] = [:]
    /// The limit of projects that ``limits`` does not name; nil for none.
    public var defaultLimit: Int?

    /// The defaults.
    public init() {}

    func limit(of project: String) -> Int { limits[project] ?? defaultLimit ?? .max }

    // Nothing that an operator types stops a project for ever.
    func weight(of project: String) -> Double { max(Self.leastWeight, weights[project] ?? 1) }
    func weight(ofUser user: String) -> Double { max(Self.leastWeight, userWeights[user] ?? 1) }

    /// The least weight of a project or user.
    public static let leastWeight = 0.001
}
