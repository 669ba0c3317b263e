/// What one agent would mean for a stage. Seconds from now and bytes over the network.
public struct Candidate: Sendable, Hashable {
    public var agent: String
    /// Until a slot is free there.
    public var queue: Double
    public var layerBytes: Int64
    public var contextBytes: Int64
    public var volumeBytes: Int64
    /// To bring the bytes.
    public var transfer: Double
    /// To run, with what else runs there.
    public var run: Double
    /// What is added for the comparison because labels that were preferred are not there.
    public var penalty: Double = 0
    /// What is added for the copies: less than nothing where they will serve later stages, more where other stages wait for the slot.
    public var copying: Double = 0

    /// Everything that has to be brought.
    public var missingBytes: Int64 { layerBytes.addingSize(contextBytes).addingSize(volumeBytes) }
    /// When it would be done.
    public var finish: Double { queue + transfer + run }
    /// By which agents are compared.
    public var cost: Double { finish + penalty + copying }
}

/// The choice of an agent with what it was chosen from.
public struct Placement: Sendable, Hashable {
    public var agent: String
    /// The best of the agents that were compared, the best first.
    public var candidates: [Candidate]
    /// How many were compared.
    public var compared: Int
    /// The labels that the agent had to have.
    public var require: [String: String]

    /// One line for `farm show`.
    public var reason: String { Explanation.text(for: self) }
}

/// What is to be done with a ready stage.
public enum Decision: Sendable, Hashable {
    /// It goes to the agent now, and has its slot.
    case place(Placement)
    /// The best agent is busy, and waiting for it is quicker than any other.
    case wait(Placement)
    /// No agent can take it as the cluster is now. `mayChange`: there are such agents, but none of them is ready.
    case unschedulable(reason: String, mayChange: Bool)
}
