import BuildPlan

/// A stage that runs on an agent, or waits for it.
struct Occupation: Sendable {
    var stage: String
    /// By the caller's clock, seconds.
    var start: Double
    /// Seconds that it is expected to take.
    var duration: Double
    /// By how much it may take more or less: a standard deviation, seconds; nil where that is not known.
    var deviation: Double?
    var cpus: Double
    var memory: Int64

    /// When it will be done, as seen now.
    ///
    /// - Parameter overdue: of what is overdue, the part of the time that it has run for which it is expected to go on, where nothing is known
    ///   of its deviation.
    func end(_ now: Double, overdue: Double) -> Double {
        guard let deviation else {
            let end = start + duration
            return max(end, now + max(Self.least, end > now ? 0 : (now - start) * overdue))
        }
        let left = start + duration - now
        if left > 0 { return now + max(Self.least, left) }
        // Durations are skewed to the right, as logarithmic normal ones: what has run as long as it usually does goes on for nearly one
        // deviation more, and that hardly changes with the time that it runs longer. Far beyond, something is otherwise than usual.
        let beyond = max(0, -left - Self.unusual * deviation)
        return now + max(Self.least, Self.overdueDeviations * deviation + beyond * overdue)
    }

    /// What runs is never taken to end at once: its slot is not free. More than what is lost in adding it to any clock.
    private static let least = 0.001

    /// The mean residual life of a logarithmic normal distribution at its mean, in standard deviations, is 0.83 to 0.95.
    private static let overdueDeviations = 0.9
    /// So many deviations above the mean is what the usual durations say nothing about.
    private static let unusual = 3.0
}

/// What a stage reads, by the numbers of layers and volumes.
struct StageInputs: Sendable {
    /// The largest first.
    var layers: [(number: Int, size: Int64)]
    var volumes: [(number: Int, demand: VolumeDemand)]
}

/// An agent with what it holds, runs and is waited for.
struct PooledAgent: Sendable {
    var profile: AgentProfile
    /// By the layers' numbers.
    var layers: Set<Int> = []
    /// Generations by the volumes' numbers.
    var volumes: [Int: Int] = [:]
    var running: [Occupation] = []
    /// Stages that wait for a slot here, in order.
    var reserved: [Occupation] = []
    /// Whose turn of them it is; nil where none wait.
    var line: WaitingLine?

    var isReady: Bool { profile.condition == .ready }
    /// Slots that nobody has and nobody waits for.
    var freeSlots: Int { max(0, profile.slots - running.count - reserved.count) }

    /// When the stage could start here, seconds from now; 0 for at once.
    ///
    /// - Parameter ahead: so many of those that wait here come before it; all, unless it waits here itself.
    func queue(for stage: StageDemand, _ now: Double, overdue: Double, ahead: Int) -> Double {
        let ahead = reserved.prefix(ahead)
        if running.count + ahead.count < profile.slots { return reservation(for: stage, now, overdue: overdue, ahead) }
        var slots = running.map { $0.end(now, overdue: overdue) - now }
        if slots.count > profile.slots { slots = Array(slots.sorted().suffix(profile.slots)) }
        slots += Array(repeating: 0, count: max(0, profile.slots - slots.count))
        for waiting in ahead {
            guard let first = slots.indices.min(by: { slots[$0] < slots[$1] }) else { break }
            slots[first] += max(waiting.duration, .leastNonzeroMagnitude)
        }
        let slot = slots.min() ?? 0
        return max(slot, reservation(for: stage, now, overdue: overdue, ahead))
    }

    /// When enough processors and memory are free.
    private func reservation(for stage: StageDemand, _ now: Double, overdue: Double, _ ahead: ArraySlice<Occupation>) -> Double {
        guard stage.cpus > 0 || stage.memory > 0 else { return 0 }
        let all = running + ahead
        var cpus = profile.cpus - all.reduce(0) { $0 + $1.cpus }
        var memory = all.reduce(profile.memory) { $0 - $1.memory }
        // Tenths of processors do not add up exactly.
        let wanted = stage.cpus - 1e-6
        if cpus >= wanted, memory >= stage.memory { return 0 }
        // Those that wait end after those that run.
        let ends =
            running.map { (end: $0.end(now, overdue: overdue) - now, use: $0) }.sorted { $0.end < $1.end }
            + ahead.map { (end: $0.duration, use: $0) }
        var time = 0.0
        for (end, use) in ends {
            time = max(time, end)
            cpus += use.cpus
            memory += use.memory
            if cpus >= wanted, memory >= stage.memory { return max(time, .leastNonzeroMagnitude) }
        }
        return max(time, .leastNonzeroMagnitude)
    }
}

/// All agents, found by what they hold and in the order in which they will be free.
struct AgentPool: Sendable {
    private(set) var agents: [PooledAgent] = []
    private var indexes: [String: Int] = [:]
    private var freeIndexes: [Int] = []
    private var availability = SortedKeys()
    private var volumeHolders: [Int: Set<Int>] = [:]
    private var layerHolders: [Int: Set<Int>] = [:]
    private var labelled: [Label: Set<Int>] = [:]
    /// Slots of ready agents that nobody has and nobody waits for.
    private(set) var freeSlots = 0
    /// All slots of ready agents.
    private(set) var slots = 0

    private struct Label: Hashable {
        var name: String
        var value: String
    }

    // Smaller than every time: agents with free slots come first, the least busy first.
    private static let idle = -1e15

    var count: Int { indexes.count }
    /// What all agents are, in no order.
    var profiles: [AgentProfile] { indexes.values.map { agents[$0].profile } }

    /// Whether some ready agent, idle, could run the stage.
    func isSuitable(_ stage: StageDemand) -> Bool { indexes.values.contains { suits($0, stage) } }

    func index(of name: String) -> Int? { indexes[name] }

    /// Processors and bytes of memory that what runs on the agent has reserved.
    func reserved(_ index: Int) -> (cpus: Double, memory: Int64) {
        agents[index].running.reduce(into: (cpus: 0.0, memory: Int64(0))) { sum, use in
            sum.cpus += use.cpus
            sum.memory = sum.memory.addingSize(use.memory)
        }
    }

    // MARK: Changes

    /// Adds an agent, or changes what is known of it; what it holds and runs stays.
    mutating func put(_ profile: AgentProfile) {
        if let index = indexes[profile.name] {
            unlabel(index)
            change(index) { $0.profile = profile }
            label(index)
            return
        }
        let index: Int
        if let reused = freeIndexes.popLast() {
            index = reused
            agents[index] = PooledAgent(profile: profile)
        } else {
            index = agents.count
            agents.append(PooledAgent(profile: profile))
        }
        indexes[profile.name] = index
        count(index, 1)
        rank(index)
        label(index)
    }

    /// Takes an agent out. What ran there must have been ended by the caller.
    mutating func remove(_ name: String) {
        guard let index = indexes.removeValue(forKey: name) else { return }
        for layer in agents[index].layers { drop(layer: layer, index) }
        for volume in agents[index].volumes.keys { drop(volume: volume, index) }
        unlabel(index)
        count(index, -1)
        availability.set(index, to: nil)
        agents[index] = PooledAgent(profile: AgentProfile(name: "", platforms: [], slots: 1, condition: .lost))
        freeIndexes.append(index)
    }

    /// Changes what runs there or what it is; keeps the order.
    mutating func change(_ index: Int, _ body: (inout PooledAgent) -> Void) {
        count(index, -1)
        body(&agents[index])
        count(index, 1)
        rank(index)
    }

    private mutating func count(_ index: Int, _ sign: Int) {
        guard agents[index].isReady else { return }
        freeSlots += sign * agents[index].freeSlots
        slots += sign * agents[index].profile.slots
    }

    mutating func hold(layer: Int, _ index: Int) {
        guard agents[index].layers.insert(layer).inserted else { return }
        layerHolders[layer, default: []].insert(index)
    }

    mutating func drop(layer: Int, _ index: Int) {
        guard agents[index].layers.remove(layer) != nil else { return }
        layerHolders[layer]?.remove(index)
        if layerHolders[layer]?.isEmpty == true { layerHolders[layer] = nil }
    }

    mutating func hold(volume: Int, generation: Int, _ index: Int) {
        agents[index].volumes[volume] = generation
        volumeHolders[volume, default: []].insert(index)
    }

    mutating func drop(volume: Int, _ index: Int) {
        guard agents[index].volumes.removeValue(forKey: volume) != nil else { return }
        volumeHolders[volume]?.remove(index)
        if volumeHolders[volume]?.isEmpty == true { volumeHolders[volume] = nil }
    }

    private mutating func rank(_ index: Int) {
        guard agents[index].isReady else { return availability.set(index, to: nil) }
        let agent = agents[index]
        if agent.freeSlots > 0 {
            return availability.set(index, to: Self.idle + Double(agent.running.count) / Double(agent.profile.slots))
        }
        let first = agent.running.lazy.map { $0.start + $0.duration }.min() ?? 0
        let waiting = agent.reserved.reduce(0) { $0 + $1.duration } / Double(agent.profile.slots)
        availability.set(index, to: first + waiting)
    }

    private mutating func label(_ index: Int) {
        for (name, value) in agents[index].profile.labels { labelled[Label(name: name, value: value), default: []].insert(index) }
    }

    private mutating func unlabel(_ index: Int) {
        for (name, value) in agents[index].profile.labels {
            let label = Label(name: name, value: value)
            labelled[label]?.remove(index)
            if labelled[label]?.isEmpty == true { labelled[label] = nil }
        }
    }

    /// The stage waits for the agent from now on, or goes on waiting.
    mutating func reserve(_ stage: String, _ owner: StageOwner, _ index: Int, policy: SchedulingPolicy) {
        var line = agents[index].line ?? WaitingLine(policy: policy)
        agents[index].line = nil
        line.append(stage, owner)
        agents[index].line = line
    }

    /// It waits there no more.
    mutating func leaveLine(_ stage: String, _ owner: StageOwner, _ index: Int) {
        agents[index].line?.remove(stage, owner)
        if agents[index].reserved.isEmpty { agents[index].line = nil }
    }

    /// One of those that waited there runs now.
    mutating func charge(_ index: Int, _ owner: StageOwner, _ seconds: Double) { agents[index].line?.charge(owner, seconds) }

    /// Brings those to the front of what is reserved whose turn it is, as many as there are slots for.
    mutating func takeTurns(_ index: Int) {
        let slots = agents[index].profile.slots - agents[index].running.count
        guard slots > 0, agents[index].reserved.count > 1 else { return }
        var first: [Occupation] = []
        while first.count < slots, let stage = agents[index].line?.popFirst() {
            if let place = agents[index].reserved.firstIndex(where: { $0.stage == stage }) {
                first.append(agents[index].reserved.remove(at: place))
            }
        }
        agents[index].reserved.insert(contentsOf: first, at: 0)
    }

    // MARK: Asking

    /// Whether the agent has some generation of the volume.
    func holds(volume: Int, _ index: Int) -> Bool { agents.indices.contains(index) && agents[index].volumes[volume] != nil }

    /// Whether the agent has the layer.
    func holds(layer: Int, _ index: Int) -> Bool { agents.indices.contains(index) && agents[index].layers.contains(layer) }

    /// Whether any agent has the layer.
    func isHeld(layer: Int) -> Bool { layerHolders[layer] != nil }

    /// Ready agents that could run the stage and are worth comparing: all of them where there are few; else those that hold its volumes and
    /// its largest layers, and the first to be free.
    func worthComparing(for stage: StageDemand, _ inputs: StageInputs, policy: SchedulingPolicy) -> [Int] {
        if availability.count <= policy.exhaustive { return (0..<availability.count).map { availability[$0] }.filter { suits($0, stage) } }
        if let few = fewest(stage.require), few.count <= policy.exhaustive { return few.filter { suits($0, stage) }.sorted() }
        var chosen = Set<Int>()
        for volume in inputs.volumes { add(volumeHolders[volume.number] ?? [], for: stage, to: &chosen, policy) }
        for layer in inputs.layers.prefix(2) { add(layerHolders[layer.number] ?? [], for: stage, to: &chosen, policy) }
        for index in first(policy.sample, policy: policy, where: { suits($0, stage) }) { chosen.insert(index) }
        return chosen.sorted()
    }

    private func suits(_ index: Int, _ stage: StageDemand) -> Bool { agents[index].isReady && agents[index].profile.suits(stage) }

    /// The smallest group of agents that have one of the labels; nil where no label is required.
    private func fewest(_ labels: [String: String]) -> Set<Int>? {
        labels.lazy.map { labelled[Label(name: $0.key, value: $0.value)] ?? [] }.min { $0.count < $1.count }
    }

    private func add(_ holders: Set<Int>, for stage: StageDemand, to chosen: inout Set<Int>, _ policy: SchedulingPolicy) {
        if holders.count <= policy.exhaustive {
            for index in holders where suits(index, stage) { chosen.insert(index) }
        } else {
            for index in first(policy.sample, policy: policy, where: { holders.contains($0) && suits($0, stage) }) { chosen.insert(index) }
        }
    }

    /// The first to be free for which the condition holds.
    private func first(_ count: Int, policy: SchedulingPolicy, where condition: (Int) -> Bool) -> [Int] {
        var found: [Int] = []
        for position in 0..<availability.count {
            if position >= policy.walk, !found.isEmpty { break }
            if condition(availability[position]) {
                found.append(availability[position])
                if found.count == count { break }
            }
        }
        return found
    }
}
