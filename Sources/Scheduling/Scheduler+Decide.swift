import BuildPlan

extension Scheduler {
    /// What is to be done now with stages, each by its id, in the order of the decisions. A placed stage has its slot from now on; one that
    /// waits is told about when that changes. Stages that are not mentioned wait for a slot.
    ///
    /// - Parameters:
    ///   - now: seconds, never less than before.
    ///   - limit: at most so many stages are compared with agents; the next call goes on.
    public mutating func decide(_ now: Double, limit: Int = .max) -> [(stage: String, decision: Decision)] {
        var decisions: [(stage: String, decision: Decision)] = []
        for stage in refusals { if let decision = blocked[stage] { decisions.append((stage, decision)) } }
        refusals = []
        var compared = 0
        for stage in waitingForChanged(now) where compared < limit {
            compared += 1
            if let decision = reconsider(stage, now) { decisions.append((stage, decision)) }
        }
        while compared < limit, pool.freeSlots > 0, let stage = next() {
            compared += 1
            decisions.append((stage, settle(stage, now)))
        }
        return decisions
    }

    /// Those who wait for an agent that has changed, in their order, and some who were not looked at for a while, if there is a free slot.
    private mutating func waitingForChanged(_ now: Double) -> [String] {
        var found: [String] = []
        for agent in changed.sorted() {
            guard let index = pool.index(of: agent) else { continue }
            pool.takeTurns(index)
            found += pool.agents[index].reserved.map(\.stage)
        }
        changed = []
        guard pool.freeSlots > 0 else { return found }
        let known = Set(found)
        var index = 0
        while index < reservations.count, reservations[index].time <= now - policy.reconsider {
            let (stage, time) = reservations[index]
            index += 1
            // Entries of comparisons before the last are void.
            if let entry = stages[stage], case .reserved = entry.place, entry.compared == time, !known.contains(stage) {
                found.append(stage)
            }
        }
        reservations.removeFirst(index)
        return found
    }

    private mutating func next() -> String? {
        guard let stage = queue.popFirst() else { return nil }
        guard let demand = stages[stage]?.demand else { return stage }
        let cost = max(0, demand.usualDuration ?? policy.unknownDuration)
        stages[stage]?.charged = cost
        queue.charge(demand.owner, cost)
        return stage
    }

    /// Compares again for a stage that waits for an agent; nil when it goes on waiting for the same one, in its place.
    private mutating func reconsider(_ stage: String, _ now: Double) -> Decision? {
        guard let entry = stages[stage], case .reserved(let name) = entry.place, let agent = pool.index(of: name),
            let place = pool.agents[agent].reserved.firstIndex(where: { $0.stage == stage })
        else { return nil }
        let placement = compare(entry, now, waiting: (agent, place))
        if let best = placement?.candidates.first, best.queue > 0, best.agent == name {
            pool.change(agent) { $0.reserved[place].duration = best.transfer + best.run }
            pool.reserve(stage, entry.demand.owner, agent, policy: policy)
            stages[stage]?.compared = now
            reservations.append((stage, now))
            return nil
        }
        pool.change(agent) { $0.reserved.remove(at: place) }
        let decision = carryOut(placement, stage, now)
        if case .place(let placed) = decision, placed.agent == name, let best = placed.candidates.first {
            pool.charge(agent, entry.demand.owner, best.transfer + best.run)
        }
        pool.leaveLine(stage, entry.demand.owner, agent)
        return decision
    }

    /// Decides for a stage that has its turn, and takes the slot or the place in the queue of the agent.
    private mutating func settle(_ stage: String, _ now: Double) -> Decision {
        guard let entry = stages[stage] else { return .unschedulable(reason: "it is gone", mayChange: false) }
        return carryOut(compare(entry, now), stage, now)
    }

    private mutating func carryOut(_ placement: Placement?, _ stage: String, _ now: Double) -> Decision {
        guard let entry = stages[stage] else { return .unschedulable(reason: "it is gone", mayChange: false) }
        guard let placement, let index = pool.index(of: placement.agent) else {
            queue.charge(entry.demand.owner, -entry.charged)
            queue.giveBack(entry.demand.owner)
            stages[stage]?.charged = 0
            stages[stage]?.place = .blocked
            let decision = whyNot(entry.demand)
            blocked[stage] = decision
            return decision
        }
        let best = placement.candidates[0]
        let occupation = occupation(entry.demand, start: now, duration: best.transfer + best.run)
        stages[stage]?.compared = now
        if best.queue > 0 {
            stages[stage]?.place = .reserved(agent: best.agent)
            pool.change(index) { $0.reserved.append(occupation) }
            pool.reserve(stage, entry.demand.owner, index, policy: policy)
            reservations.append((stage, now))
            return .wait(placement)
        }
        stages[stage]?.place = .running(agent: best.agent)
        stages[stage]?.start = now
        pool.change(index) { $0.running.append(occupation) }
        return .place(placement)
    }

    /// The choice among all that are worth comparing; nil when no ready agent could run it.
    ///
    /// - Parameter waiting: the agent for which it waits, and its place there.
    private func compare(_ entry: Entry, _ now: Double, waiting: (agent: Int, place: Int)? = nil) -> Placement? {
        let stage = entry.demand
        var indexes = pool.worthComparing(for: stage, entry.inputs, policy: policy)
        if !stage.avoid.isEmpty {
            let others = indexes.filter { !stage.avoid.contains(pool.agents[$0].profile.name) }
            if !others.isEmpty { indexes = others }
        }
        guard !indexes.isEmpty else { return nil }
        // All are compared, the best few are told. Each finds its place among them, most of them none.
        let copying = copying
        var best: [(index: Int, sum: Sum, cost: Double)] = []
        for index in indexes {
            let sum = sum(entry, on: index, now, ahead: index == waiting?.agent ? waiting?.place ?? .max : .max)
            let cost = sum.cost(copying)
            if best.count == Self.toldCandidates, let last = best.last, !isBefore((index, sum, cost), last) { continue }
            let place = best.firstIndex { isBefore((index, sum, cost), $0) } ?? best.count
            best.insert((index, sum, cost), at: place)
            if best.count > Self.toldCandidates { best.removeLast() }
        }
        let candidates = best.map { candidate($0.sum, on: $0.index, copying) }
        return Placement(agent: candidates[0].agent, candidates: candidates, compared: indexes.count, require: stage.require)
    }

    /// The earliest finish, then the fewest bytes, then the shortest queue, then the name. Total, so that the same state gives the same
    /// placement.
    private func isBefore(_ a: (index: Int, sum: Sum, cost: Double), _ b: (index: Int, sum: Sum, cost: Double)) -> Bool {
        if a.cost != b.cost { return a.cost < b.cost }
        if a.sum.missingBytes != b.sum.missingBytes { return a.sum.missingBytes < b.sum.missingBytes }
        if a.sum.queue != b.sum.queue { return a.sum.queue < b.sum.queue }
        return pool.agents[a.index].profile.name < pool.agents[b.index].profile.name
    }

    /// So many candidates are kept with a decision.
    static let toldCandidates = 8

    /// What an agent would mean, without its name: this is computed for all, the rest for the best.
    private struct Sum {
        var queue = 0.0
        var layerBytes: Int64 = 0
        var contextBytes: Int64 = 0
        var volumeBytes: Int64 = 0
        var transfer = 0.0
        var run = 0.0
        var penalty = 0.0

        var missingBytes: Int64 { layerBytes.addingSize(contextBytes).addingSize(volumeBytes) }
        /// By which agents are compared.
        func cost(_ copying: Double) -> Double { queue + transfer * copying + run + penalty }
    }

    private func candidate(_ sum: Sum, on index: Int, _ copying: Double) -> Candidate {
        Candidate(
            agent: pool.agents[index].profile.name, queue: sum.queue, layerBytes: sum.layerBytes, contextBytes: sum.contextBytes,
            volumeBytes: sum.volumeBytes, transfer: sum.transfer, run: sum.run, penalty: sum.penalty,
            copying: sum.transfer * (copying - 1))
    }

    /// What a second of a copy counts now: with more stages waiting than there are slots, a slot that copies is one that does not work.
    private var copying: Double {
        let backlog = min(1, Double(queue.count) / Double(max(1, pool.slots)))
        return policy.copying + (policy.copyingBehind - policy.copying) * backlog
    }

    private func sum(_ entry: Entry, on index: Int, _ now: Double, ahead: Int) -> Sum {
        let stage = entry.demand
        var sum = Sum()
        var largest: Int?
        for layer in entry.inputs.layers where !pool.agents[index].layers.contains(layer.number) {
            if largest == nil { largest = layer.number }
            sum.layerBytes = sum.layerBytes.addingSize(layer.size)
        }
        for volume in entry.inputs.volumes {
            let bytes = volume.demand.missingBytes(since: pool.agents[index].volumes[volume.number] ?? 0)
            guard bytes > 0 else { continue }
            sum.volumeBytes = sum.volumeBytes.addingSize(bytes)
            sum.transfer += Double(bytes) / speed(to: index) { pool.holds(volume: volume.number, $0) }
        }
        if let largest {
            // What no agent has comes from the coordinator.
            sum.transfer +=
                Double(sum.layerBytes)
                / speed(to: index) { $0 == BandwidthTable.coordinator ? !pool.isHeld(layer: largest) : pool.holds(layer: largest, $0) }
        }
        sum.contextBytes = max(0, stage.contextBytes)
        if sum.contextBytes > 0 { sum.transfer += Double(sum.contextBytes) / speed(to: index) { $0 == BandwidthTable.coordinator } }
        let busy = pool.agents[index].running.count + pool.agents[index].reserved.count
        let others = min(1, Double(busy) / Double(pool.agents[index].profile.slots))
        sum.run = (stage.usualDuration ?? policy.unknownDuration) * (1 + policy.contention * others)
        if !pool.agents[index].profile.platforms.contains(stage.platform) { sum.run *= policy.emulation }
        if !stage.prefer.isEmpty {
            sum.penalty = Double(stage.prefer.count { pool.agents[index].profile.labels[$0.key] != $0.value }) * policy.preference
        }
        sum.queue = pool.agents[index].queue(for: stage, now, overdue: policy.overdueShare, ahead: ahead)
        return sum
    }

    private func speed(to index: Int, from isSender: (Int) -> Bool) -> Double {
        if bandwidth.isEmpty { return policy.bandwidth }
        return bandwidth.expected(to: index, from: isSender) ?? policy.bandwidth
    }

    /// Agents that could take the stage if they were not set aside.
    public func setAside(suiting stage: StageDemand) -> [String] {
        pool.profiles.filter { agent in
            if case .setAside = agent.condition { agent.suits(stage) } else { false }
        }.map(\.name)
    }

    /// What keeps a stage from each agent, by name; those that could take it are left out.
    public func objections(to stage: StageDemand) -> [(agent: String, reason: String)] {
        pool.profiles.compactMap { agent in agent.objection(to: stage).map { (agent.name, $0) } }.sorted { $0.agent < $1.agent }
    }

    /// Why no agent can take it.
    func whyNot(_ stage: StageDemand) -> Decision {
        let agents = pool.profiles.sorted { $0.name < $1.name }
        let names = agents.isEmpty ? "there are no agents" : "agents: " + Explanation.list(agents.map(\.name))
        let labelled = agents.filter { $0.hasLabels(stage.require) }
        let labels = Explanation.labels(stage.require)
        guard !labelled.isEmpty else {
            let reason = stage.require.isEmpty ? "no agent has joined this farm" : "no agent has the label \(labels) (\(names))"
            return .unschedulable(reason: reason, mayChange: false)
        }
        let with = stage.require.isEmpty ? "" : " with \(labels)"
        let running = labelled.filter { $0.runs(stage.platform) }
        guard !running.isEmpty else {
            return .unschedulable(
                reason: "no agent\(with) runs \(stage.platform) (\(names)); an operator can allow emulation by an agent's setting emulate",
                mayChange: false)
        }
        let able = running.filter { $0.isLargeEnough(for: stage) }
        guard !able.isEmpty else {
            let reason =
                "no agent\(with) has \(Explanation.resources(stage.cpus, stage.memory)) for a stage "
                + "(\(Explanation.list(running.map(Explanation.largest))))"
            return .unschedulable(reason: reason, mayChange: false)
        }
        let allowing = able.filter { $0.refused(stage) == nil }
        guard !allowing.isEmpty else {
            let path = able[0].refused(stage) ?? ""
            return .unschedulable(
                reason: "no agent\(with) lets builds mount \(path) of its machine: its operator can allow it by the setting host-paths "
                    + "(\(names))", mayChange: false)
        }
        return .unschedulable(reason: Explanation.list(allowing.map { "\($0.name) is \($0.condition.text)" }), mayChange: true)
    }
}
