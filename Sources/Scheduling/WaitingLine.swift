/// Those who wait for one agent, in the order of fair shares among them: a place in the order of arrival would let a project that sends a
/// thousand stages there pass everybody who comes later, and priorities would mean nothing.
struct WaitingLine: Sendable {
    private var queue: FairQueue
    private var members: Set<String> = []

    init(policy: SchedulingPolicy) {
        // Limits were kept when the stages were taken from the queue of all.
        var policy = policy
        (policy.limits, policy.defaultLimit) = ([:], nil)
        queue = FairQueue(policy: policy)
    }

    var isEmpty: Bool { members.isEmpty }

    /// Does nothing for one that is in it.
    mutating func append(_ stage: String, _ owner: StageOwner) {
        if members.insert(stage).inserted { queue.append(stage, owner) }
    }

    /// Takes out the one whose turn it is; it is charged when it comes to run.
    mutating func popFirst() -> String? {
        guard let stage = queue.popFirst() else { return nil }
        members.remove(stage)
        return stage
    }

    mutating func remove(_ stage: String, _ owner: StageOwner) {
        if members.remove(stage) != nil { _ = queue.remove(stage, owner) }
    }

    /// A stage of the owner runs there now, for about so many seconds.
    mutating func charge(_ owner: StageOwner, _ seconds: Double) { queue.charge(owner, seconds) }
}
