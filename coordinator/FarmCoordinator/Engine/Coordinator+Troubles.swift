import BuildPlan
import FarmAPI
import Scheduling
import Store

// Agents that fail often get nothing for a while.
extension Coordinator {
    /// Something went wrong that the agent is to answer for. The caller settles.
    /// - Parameter stage: the build and its stage; nil where the agent failed as a whole.
    func blame(_ agent: String, for stage: (run: BuildRun, number: Int)?, reason: String) {
        guard agentEntries[agent] != nil else { return }
        let work = stage.map { Self.work($0.run, $0.number) }
        let isSetAside = troubles.failed(
            agent, work: work, reason: reason, now: clock.monotonic(), settings.troubles, mayGo: hasSubstitute(for: agent))
        guard isSetAside, let aside = troubles.aside(agent) else { return }
        logger.warning(
            "an agent is set aside: it gets no stages for a while",
            metadata: [
                "agent": "\(agent)", "seconds": "\(Int(aside.until - clock.monotonic()))", "reason": "\(aside.reason)",
            ])
        keepTroubles(of: agent)
    }

    /// The agent is silent, with so many stages.
    func blame(_ agent: String, lostWith stages: Int) {
        if stages > 0 { blame(agent, for: nil, reason: "it was lost with \(stages) \(stages == 1 ? "stage" : "stages")") }
    }

    /// The same for an assignment, unless its build has ended.
    func blame(_ entry: AssignmentEntry, reason: String) {
        guard !entry.isCancelling, let run = builds[entry.stored.build], run.stages.indices.contains(entry.stored.stage) else { return }
        blame(entry.stored.agent, for: (run, entry.stored.stage), reason: reason)
    }

    /// The agent ran a stage to its end.
    func praise(_ agent: String, for run: BuildRun, _ number: Int) {
        guard troubles.ran(agent, work: Self.work(run, number), now: clock.monotonic(), settings.troubles) else { return }
        logger.notice("an agent that was set aside is well again", metadata: ["agent": "\(agent)"])
        keepTroubles(of: agent)
    }

    /// Agents that were set aside for long enough are tried again.
    func expireTroubles() {
        for agent in troubles.expire(now: clock.monotonic()) { startTrial(of: agent) }
    }

    /// A stage that only agents could take that are set aside: one of them is tried at once, since there is nothing to lose by it.
    func tryAgents(for demand: StageDemand) {
        let able = scheduler.setAside(suiting: demand).compactMap { name in troubles.aside(name).map { (name, $0.until) } }
        guard let next = able.min(by: { ($0.1, $0.0) < ($1.1, $1.0) }) else { return }
        troubles.tryEarly(next.0)
        startTrial(of: next.0)
    }

    private func startTrial(of agent: String) {
        logger.notice("an agent that was set aside is tried with one stage", metadata: ["agent": "\(agent)"])
        keepTroubles(of: agent)
    }

    /// Somebody says that the agent is well.
    func forgetTroubles(of agent: String) {
        troubles.clear(agent)
        keepTroubles(of: agent)
    }

    /// Takes what is known of the agent to the scheduler and to the store.
    private func keepTroubles(of agent: String) {
        guard var entry = agentEntries[agent] else { return }
        let now = clock.monotonic()
        entry.stored.setAside = troubles.aside(agent).map { aside in
            var until = clock.now()
            until.nanoseconds += Int64(max(0, aside.until - now) * 1e9)
            return StoredSetAside(reason: aside.reason, until: until, level: aside.level, isOnTrial: aside.isOnTrial)
        }
        agentEntries[agent] = entry
        outbox.append(.put(entry.stored.setAside, of: agent))
        profile(agent)
    }

    /// What the store says of agents that were set aside. The clock on the wall may have been set meanwhile: nobody waits longer than the
    /// longest pause for it.
    func restoreTroubles(of agent: StoredAgent) {
        guard let stored = agent.setAside else { return }
        let rest = min(max(0, stored.until.seconds(since: clock.now())), settings.troubles.longestPause)
        let aside = AgentTroubles.Aside(
            reason: stored.reason, until: clock.monotonic() + rest, level: min(max(0, stored.level), 30), isOnTrial: stored.isOnTrial)
        troubles.restore(agent.name, aside, now: clock.monotonic())
    }

    /// How it is shown.
    func setAside(_ agent: AgentEntry) -> AgentDescription.SetAside? {
        agent.stored.setAside.map { AgentDescription.SetAside(reason: $0.reason, until: $0.until, isOnTrial: $0.isOnTrial) }
    }

    // Another agent that gets stages now and runs the same platform: the last one stays, however often it fails.
    private func hasSubstitute(for name: String) -> Bool {
        guard let platform = agentEntries[name]?.platform else { return true }
        return agentEntries.values.contains { other in
            other.name != name && other.platform == platform && other.session != nil && isReachable(other) && !other.stored.drained
                && !troubles.isSetAside(other.name)
        }
    }

    private static func work(_ run: BuildRun, _ number: Int) -> String {
        "\(run.stored.request.project)\n\(run.stages[number].plan.name)"
    }
}
