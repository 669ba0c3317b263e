import BuildPlan

/// What is to be done with a ready stage.
public enum Decision: Sendable, Hashable {
    /// It goes to the agent now.
    case place(Placement)
    /// The best agent is busy, and waiting for it is quicker than any other; decide again when something has changed.
    case wait(Placement)
    /// No agent can take it as the cluster is now. `mayChange`: there are such agents, but all are lost or draining.
    case unschedulable(reason: String, mayChange: Bool)
}

/// The choice of an agent with what it was chosen from.
public struct Placement: Sendable, Hashable {
    public var agent: String
    /// All agents that could have been taken, the best first.
    public var candidates: [Candidate]
    /// One line for `farm show`.
    public var reason: String
}

/// Decides where ready stages run: a value without clock or I/O; the same state gives the same decisions.
public struct Scheduler: Sendable {
    private let policy: SchedulingPolicy
    private let agents: [AgentSnapshot]
    // When each slot becomes free, by index of the agent; a decision takes its slot, so that the next sees it.
    private var slots: [[Double]]

    /// - Parameter agents: in any order; names are unique.
    public init(agents: [AgentSnapshot], policy: SchedulingPolicy = SchedulingPolicy()) {
        self.policy = policy
        self.agents = agents.sorted { $0.name < $1.name }
        slots = self.agents.map { agent in
            // More may run than there are slots, when an agent came back with fewer.
            let busy = agent.running.sorted(by: >).prefix(agent.slots).map { max($0, .leastNonzeroMagnitude) }
            return busy + Array(repeating: 0, count: max(0, agent.slots - busy.count))
        }
    }

    /// Decides for all ready stages, in order: the first has the first choice.
    public mutating func decide(_ stages: [StageDemand]) -> [Decision] {
        stages.map { decide($0) }
    }

    /// Decides for one stage, and takes a slot for it.
    public mutating func decide(_ stage: StageDemand) -> Decision {
        var eligible = agents.indices.filter { agents[$0].condition == .ready && agents[$0].accepts(stage) }
        guard !eligible.isEmpty else { return whyNot(stage) }
        let others = eligible.filter { !stage.avoid.contains(agents[$0].name) }
        if !others.isEmpty { eligible = others }
        let candidates =
            eligible
            .map { (index: $0, candidate: policy.candidate(stage, on: agents[$0], slots: slots[$0])) }
            .sorted { Candidate.isPreferred($0.candidate, to: $1.candidate) }
        let best = candidates[0]
        let placement = Placement(
            agent: best.candidate.agent, candidates: candidates.map(\.candidate),
            reason: Explanation.text(for: stage, candidates: candidates.map(\.candidate)))
        occupy(best.index, until: best.candidate.finish)
        return best.candidate.queue > 0 ? .wait(placement) : .place(placement)
    }

    private mutating func occupy(_ agent: Int, until finish: Double) {
        guard let slot = slots[agent].indices.min(by: { slots[agent][$0] < slots[agent][$1] }) else { return }
        slots[agent][slot] = max(finish, .leastNonzeroMagnitude)
    }

    private func whyNot(_ stage: StageDemand) -> Decision {
        let names = agents.isEmpty ? "there are no agents" : "agents: " + agents.map(\.name).joined(separator: ", ")
        let labelled = agents.filter { $0.hasLabels(stage.require) }
        let labels = stage.require.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        guard !labelled.isEmpty else {
            let reason = stage.require.isEmpty ? "no agent has joined this farm" : "no agent has the label \(labels) (\(names))"
            return .unschedulable(reason: reason, mayChange: false)
        }
        let able = labelled.filter { $0.platforms.contains(stage.platform) }
        guard !able.isEmpty else {
            let reason = "no agent\(stage.require.isEmpty ? "" : " with \(labels)") runs \(stage.platform) (\(names))"
            return .unschedulable(reason: reason, mayChange: false)
        }
        let allowing = able.filter { $0.refused(stage) == nil }
        guard !allowing.isEmpty else {
            let path = able[0].refused(stage) ?? ""
            return .unschedulable(
                reason:
                    "no agent\(stage.require.isEmpty ? "" : " with \(labels)") lets builds mount \(path) of its machine: its operator can "
                    + "allow it by the setting host-paths (\(names))", mayChange: false)
        }
        return .unschedulable(
            reason: allowing.map { "\($0.name) is \($0.condition.rawValue)" }.joined(separator: ", "), mayChange: true)
    }
}

extension AgentSnapshot {
    func hasLabels(_ required: [String: String]) -> Bool { required.allSatisfy { labels[$0.key] == $0.value } }
    func accepts(_ stage: StageDemand) -> Bool {
        platforms.contains(stage.platform) && hasLabels(stage.require) && refused(stage) == nil
    }

    /// The first path that the stage mounts and that is not allowed here.
    func refused(_ stage: StageDemand) -> String? { stage.hostPaths.first { !Self.allows($0, among: hostPaths) } }

    /// True for a path of the list, and for one below it. Both are absolute and clean.
    public static func allows(_ path: String, among allowed: [String]) -> Bool {
        allowed.contains { $0 == path || path.hasPrefix($0 == "/" ? "/" : $0 + "/") }
    }
}
