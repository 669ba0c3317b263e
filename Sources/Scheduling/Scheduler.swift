import BuildPlan
import Digests

/// The cluster and the stages that wait or run, and the decisions where they run.
///
/// A value without clock or I/O: time comes in, in seconds of any steady clock, and the same calls give the same decisions. Agents and stages
/// come and go by the methods below; ``decide(_:)`` then tells what is to be done. A decision costs about the same whether there are a
/// hundred agents or thousands: of many, those that hold something of the stage and the first to be free are compared, not all.
public struct Scheduler: Sendable {
    var policy: SchedulingPolicy
    var pool = AgentPool()
    var queue: FairQueue
    var bandwidth = BandwidthTable()
    var stages: [String: Entry] = [:]
    /// Stages that no agent can take, and what was said about it.
    var blocked: [String: Decision] = [:]
    /// Decisions about stages that can't be placed, not yet told.
    var refusals: [String] = []
    /// Agents that got room since the last decision and are waited for.
    var changed: Set<String> = []
    /// Stages that wait for an agent, in the order in which they were compared last.
    var reservations: [(stage: String, time: Double)] = []
    private var layerNames = Names<Digest>()
    private var volumeNames = Names<String>()
    /// What kinds of stages some agent could run, if it were ready; void when agents change.
    var suitable: [StageDemand.Requirements: Bool] = [:]

    /// A stage and where it is.
    struct Entry: Sendable {
        enum Place: Sendable, Hashable {
            case queued
            case blocked
            case reserved(agent: String)
            case running(agent: String)
        }

        var demand: StageDemand
        var inputs: StageInputs
        var place: Place
        /// What its owner was charged, seconds.
        var charged = 0.0
        /// Since when it runs.
        var start = 0.0
        /// When it was last compared with agents.
        var compared = 0.0
        /// Since when it waits for something else than an agent, where it does.
        var pausedAt: Double?
    }

    /// An empty cluster.
    public init(policy: SchedulingPolicy = SchedulingPolicy()) {
        self.policy = policy
        queue = FairQueue(policy: policy)
    }

    // MARK: Agents

    /// Adds an agent, or changes what is known of it. What it holds and runs stays.
    public mutating func put(_ agent: AgentProfile) {
        let before = pool.index(of: agent.name).map { pool.agents[$0].profile }
        guard before != agent else { return }
        pool.put(agent)
        suitable = [:]
        if agent.condition != .ready, before?.condition == .ready { releaseReservations(of: agent.name) }
        changed.insert(agent.name)
        unblock()
    }

    /// Forgets an agent. Stages that run there are to be ended by the caller, by ``end(_:_:)`` or ``withdraw(_:)``.
    public mutating func remove(agent: String) {
        releaseReservations(of: agent)
        if let index = pool.index(of: agent) { bandwidth.remove(index) }
        pool.remove(agent)
        suitable = [:]
        unblock()
    }

    /// The layer is on the agent's disk.
    public mutating func hold(_ layer: Digest, agent: String) {
        if let index = pool.index(of: agent) { pool.hold(layer: layerNames.number(of: layer), index) }
    }
    /// The layer is gone from there.
    public mutating func drop(_ layer: Digest, agent: String) {
        if let index = pool.index(of: agent), let number = layerNames[layer] { pool.drop(layer: number, index) }
    }
    /// The volume's generation is on the agent's disk.
    public mutating func hold(volume: String, generation: Int, agent: String) {
        if let index = pool.index(of: agent) { pool.hold(volume: volumeNames.number(of: volume), generation: generation, index) }
    }
    /// The volume is gone from there.
    public mutating func drop(volume: String, agent: String) {
        if let index = pool.index(of: agent), let number = volumeNames[volume] { pool.drop(volume: number, index) }
    }

    // MARK: Bandwidth

    /// A transfer has ended. Small ones, figures that can't be, and machines that are not known are ignored.
    /// - Parameter from: nil for the coordinator.
    /// - Returns: bytes a second that are expected of the pair now; nil where it was ignored.
    @discardableResult
    public mutating func transferred(from: String?, to: String, bytes: Int64, seconds: Double) -> Double? {
        guard let (sender, receiver) = pair(from, to) else { return nil }
        return bandwidth.note(from: sender, to: receiver, bytes: bytes, seconds: seconds, usual: policy.bandwidth)
    }

    /// What was expected of a pair before a restart, bytes a second.
    public mutating func remember(from: String?, to: String, rate: Double) {
        guard let (sender, receiver) = pair(from, to) else { return }
        bandwidth.remember(from: sender, to: receiver, rate: rate)
    }

    /// Bytes a second that were measured of a pair; nil where nothing was.
    public func measuredBandwidth(from: String?, to: String) -> Double? {
        pair(from, to).flatMap { bandwidth.measured(from: $0.0, to: $0.1) }
    }

    /// All that was measured of what an agent receives, bytes a second; from nil for the coordinator. In no order.
    public func measuredBandwidth(to agent: String) -> [(from: String?, rate: Double)] {
        guard let index = pool.index(of: agent) else { return [] }
        return bandwidth.senders(to: index).map { sender, rate in
            (sender == BandwidthTable.coordinator ? nil : pool.agents[sender].profile.name, rate)
        }
    }

    private func pair(_ from: String?, _ to: String) -> (Int, Int)? {
        guard let receiver = pool.index(of: to) else { return nil }
        guard let from else { return (BandwidthTable.coordinator, receiver) }
        return pool.index(of: from).map { ($0, receiver) }
    }

    // MARK: Stages

    /// A stage is ready. One that waits already gets the new demand, and keeps its turn if its owner is the same.
    public mutating func submit(_ stage: StageDemand) {
        let inputs = inputs(of: stage)
        if let entry = stages[stage.id] {
            if entry.demand == stage { return }
            switch entry.place {
            case .running: return
            case .queued where entry.demand.owner == stage.owner, .reserved where entry.demand.owner == stage.owner:
                stages[stage.id]?.demand = stage
                stages[stage.id]?.inputs = inputs
                if entry.place == .queued, !isSuitable(stage) { block(stage.id) }
                return
            case .queued, .reserved, .blocked: withdraw(stage.id)
            }
        }
        stages[stage.id] = Entry(demand: stage, inputs: inputs, place: .queued)
        if isSuitable(stage) { queue.append(stage.id, stage.owner) } else { block(stage.id) }
    }

    /// The stage waits no more, wherever it was; nobody is charged.
    public mutating func withdraw(_ stage: String) {
        guard let entry = stages.removeValue(forKey: stage) else { return }
        switch entry.place {
        case .queued: _ = queue.remove(stage, entry.demand.owner)
        case .blocked: blocked[stage] = nil
        case .reserved(let agent), .running(let agent):
            vacate(stage, entry.demand.owner, agent)
            queue.charge(entry.demand.owner, -entry.charged)
            queue.giveBack(entry.demand.owner)
        }
    }

    /// A stage that runs has ended, well or not; its owner is charged for what it took.
    public mutating func end(_ stage: String, _ now: Double) {
        guard let entry = stages[stage] else { return }
        guard case .running(let agent) = entry.place else { return withdraw(stage) }
        stages[stage] = nil
        vacate(stage, entry.demand.owner, agent)
        queue.charge(entry.demand.owner, max(0, (entry.pausedAt ?? now) - entry.start) - entry.charged)
        queue.giveBack(entry.demand.owner)
    }

    /// A stage that runs waits for something that others have, such as a lock: others may have its slot meanwhile, and its owner is not
    /// charged for the wait.
    public mutating func pause(_ stage: String, _ now: Double) {
        guard let entry = stages[stage], case .running(let agent) = entry.place, entry.pausedAt == nil else { return }
        stages[stage]?.pausedAt = now
        vacate(stage, entry.demand.owner, agent)
    }

    /// A stage that was paused goes on, also where its agent has more to do by now than slots: it has the lock, so nobody gains if it waits.
    public mutating func resume(_ stage: String, _ now: Double) {
        guard let entry = stages[stage], let since = entry.pausedAt, case .running(let agent) = entry.place else { return }
        stages[stage]?.pausedAt = nil
        stages[stage]?.start += max(0, now - since)
        guard let index = pool.index(of: agent) else { return }
        let occupation = occupation(entry.demand, start: now, duration: entry.demand.usualDuration ?? policy.unknownDuration)
        pool.change(index) { $0.running.append(occupation) }
    }

    /// A stage runs on an agent though it was not placed here: what is found after a restart.
    public mutating func adopt(_ stage: StageDemand, on agent: String, since start: Double) {
        withdraw(stage.id)
        let inputs = inputs(of: stage)
        var entry = Entry(demand: stage, inputs: inputs, place: .running(agent: agent))
        entry.start = start
        stages[stage.id] = entry
        guard let index = pool.index(of: agent) else { return }
        let occupation = occupation(stage, start: start, duration: stage.usualDuration ?? policy.unknownDuration)
        pool.change(index) { $0.running.append(occupation) }
    }

    /// Stages that wait for a turn.
    public var waiting: Int { queue.count }

    /// Whether no agent can take the stage as the cluster is now.
    public func isBlocked(_ stage: String) -> Bool { blocked[stage] != nil }

    /// Whether the stage waits for a free slot anywhere, and has not been compared with agents.
    public func isQueued(_ stage: String) -> Bool { stages[stage]?.place == .queued }

    /// Where the stage runs; nil when it does not.
    public func agent(of stage: String) -> String? {
        if case .running(let agent) = stages[stage]?.place { agent } else { nil }
    }

    /// Processors and bytes of memory that the stages that run on the agent have reserved; zero for one that is not known.
    public func reserved(on agent: String) -> (cpus: Double, memory: Int64) {
        pool.index(of: agent).map { pool.reserved($0) } ?? (0, 0)
    }

    // MARK: Inside

    private mutating func inputs(of stage: StageDemand) -> StageInputs {
        StageInputs(
            layers: stage.layers.map { (layerNames.number(of: $0.diffID), $0.size) }.sorted { $0.1 > $1.1 },
            volumes: stage.volumes.map { (volumeNames.number(of: $0.name), $0) })
    }

    func occupation(_ stage: StageDemand, start: Double, duration: Double) -> Occupation {
        Occupation(
            stage: stage.id, start: start, duration: max(0, duration), deviation: stage.usualDeviation, cpus: stage.cpus,
            memory: stage.memory)
    }

    private mutating func vacate(_ stage: String, _ owner: StageOwner, _ agent: String) {
        guard let index = pool.index(of: agent) else { return }
        pool.change(index) { agent in
            agent.running.removeAll { $0.stage == stage }
            agent.reserved.removeAll { $0.stage == stage }
        }
        pool.leaveLine(stage, owner, index)
        if !pool.agents[index].reserved.isEmpty { changed.insert(agent) }
    }

    /// Who waits for the agent gets its turn again.
    private mutating func releaseReservations(of agent: String) {
        guard let index = pool.index(of: agent) else { return }
        for waiting in pool.agents[index].reserved { requeue(waiting.stage) }
    }

    /// Back into the queue, without a charge.
    private mutating func requeue(_ stage: String) {
        guard var entry = stages[stage] else { return }
        withdraw(stage)
        entry.place = .queued
        entry.charged = 0
        stages[stage] = entry
        queue.append(stage, entry.demand.owner)
    }

    private mutating func isSuitable(_ stage: StageDemand) -> Bool {
        let requirements = stage.requirements
        if let known = suitable[requirements] { return known }
        let found = pool.isSuitable(stage)
        suitable[requirements] = found
        return found
    }

    mutating func block(_ stage: String) {
        guard let entry = stages[stage] else { return }
        if case .queued = entry.place { _ = queue.remove(stage, entry.demand.owner) }
        stages[stage]?.place = .blocked
        blocked[stage] = whyNot(entry.demand)
        refusals.append(stage)
    }

    /// Agents have changed: what no agent could take may have a chance now, or another reason.
    private mutating func unblock() {
        for stage in blocked.keys.sorted() {
            guard let demand = stages[stage]?.demand else { continue }
            if isSuitable(demand) {
                blocked[stage] = nil
                stages[stage]?.place = .queued
                queue.append(stage, demand.owner)
            } else {
                let reason = whyNot(demand)
                if blocked[stage] != reason { refusals.append(stage) }
                blocked[stage] = reason
            }
        }
    }
}
