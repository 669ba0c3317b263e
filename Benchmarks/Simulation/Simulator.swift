import Scheduling

/// Carries out a load with a policy by virtual time.
///
/// An agent brings what a stage lacks at its full bandwidth, then runs it for its real duration, which the policy does not know; both take the
/// slot. A stage that uses a volume makes its next generation; an agent that dies loses what runs there and keeps its disk.
public struct Simulator<Policy: PlacementPolicy> {
    private let load: Load
    private var policy: Policy
    private var events = EventQueue()
    private var now = 0.0

    // By the number of the stage in the load.
    private var places: [Place] = []
    private var states: [State] = []
    private var dependents: [[Int]] = []
    private var open: [Int] = []

    private var agents: [Agent]
    private var heads: [Int]
    private var deltas: [[Int64]]
    private var usual: [Kind: (mean: Double, variance: Double, count: Int)] = [:]
    private var figures: Figures
    private let clock = ContinuousClock()

    private struct Place {
        var build: Int
        var stage: Int
    }

    private struct State {
        var ready = 0.0
        var agent = -1
        var attempt = 0
        var isDone = false
        /// Bytes that were brought for it.
        var received: Int64 = 0
        var simulated: SimulatedStage?
    }

    private struct Agent {
        var isHere = false
        var layers: Set<Int> = []
        var volumes: [Int: Int] = [:]
        var running: Set<Int> = []
    }

    private struct Kind: Hashable {
        var project: Int
        var kind: Int
    }

    /// Deltas that the coordinator remembers for each volume.
    private static var rememberedDeltas: Int { 64 }

    public init(_ load: Load, _ policy: Policy) {
        self.load = load
        self.policy = policy
        agents = Array(repeating: Agent(), count: load.agents.count)
        heads = Array(repeating: 1, count: load.volumes.count)
        deltas = Array(repeating: [], count: load.volumes.count)
        figures = Figures(policy: policy.name, load: load)
        for (number, agent) in load.agents.enumerated() {
            events.add(agent.joins, .join(number))
            if let failure = agent.failure {
                events.add(failure.at, .leave(number))
                events.add(failure.at + failure.duration, .join(number))
            }
        }
        for (number, build) in load.builds.enumerated() {
            let first = places.count
            for stage in build.stages.indices {
                places.append(Place(build: number, stage: stage))
                states.append(State())
                dependents.append([])
                open.append(build.stages[stage].dependencies.count)
                for dependency in build.stages[stage].dependencies { dependents[first + dependency].append(first + stage) }
            }
            events.add(build.arrives, .arrive(build: number, first: first))
        }
    }

    /// Runs to the end of the last stage.
    public mutating func run() -> Figures {
        let start = clock.now
        while let event = events.next() {
            now = event.time
            handle(event.kind)
            // All that happens at one moment is seen by one decision.
            if events.nextTime == now { continue }
            decide()
        }
        figures.seconds = (clock.now - start).seconds
        figures.close()
        return figures
    }

    private mutating func handle(_ kind: EventQueue.Kind) {
        switch kind {
        case .join(let agent):
            guard !agents[agent].isHere else { return }
            agents[agent].isHere = true
            let slots = load.agents[agent].slots
            timed { $0.join(agent, slots: slots) }
        case .leave(let agent):
            guard agents[agent].isHere else { return }
            agents[agent].isHere = false
            for stage in agents[agent].running.sorted() {
                if let simulated = states[stage].simulated { timed { $0.lost(simulated) } }
                states[stage].attempt += 1
                states[stage].agent = -1
            }
            timed { $0.leave(agent) }
            let lost = agents[agent].running.sorted()
            agents[agent].running = []
            for stage in lost { offer(stage) }
        case .arrive(let build, let first):
            for stage in load.builds[build].stages.indices where load.builds[build].stages[stage].dependencies.isEmpty {
                states[first + stage].ready = now
                offer(first + stage)
            }
        case .end(let stage, let attempt):
            if states[stage].attempt == attempt { finish(stage) }
        case .wake: break
        }
    }

    private mutating func offer(_ stage: Int) {
        let place = places[stage]
        let build = load.builds[place.build]
        let shape = build.stages[place.stage]
        let first = stage - place.stage
        var layers: [(layer: Int, bytes: Int64)] = [(-1 - build.project, load.bases[build.project])]
        for dependency in shape.dependencies { layers.append((first + dependency, build.stages[dependency].layerBytes)) }
        let known = usual[Kind(project: build.project, kind: shape.kind)]
        let simulated = SimulatedStage(
            number: stage, build: place.build, project: build.project, user: build.user,
            usualDuration: known?.mean, usualDeviation: known.flatMap { $0.count < 3 ? nil : $0.variance.squareRoot() }, layers: layers,
            volumes: shape.volumes.map { ($0, heads[$0], load.volumes[$0].bytes, deltas[$0].reversed()) })
        states[stage].simulated = simulated
        timed { $0.ready(simulated) }
    }

    private mutating func decide() {
        var decisions: [(stage: Int, agent: Int)] = []
        let now = now
        timed { decisions = $0.decide(now) }
        figures.decisions += decisions.count
        for (stage, agent) in decisions { begin(stage, on: agent) }
        // Who waits for a busy agent is looked at again though nothing happens.
        if events.isEmpty, states.contains(where: { !$0.isDone }) { events.add(now + 1, .wake) }
    }

    private mutating func begin(_ stage: Int, on agent: Int) {
        guard let simulated = states[stage].simulated else { return }
        precondition(agents[agent].isHere && agents[agent].running.count < load.agents[agent].slots, "a slot is given twice")
        precondition(states[stage].agent < 0 && !states[stage].isDone, "a stage runs twice")
        let place = places[stage]
        var bytes: Int64 = 0
        for (layer, size) in simulated.layers where agents[agent].layers.insert(layer).inserted {
            bytes += size
            timed { $0.hold(layer: layer, agent) }
        }
        for (volume, _, size, _) in simulated.volumes {
            let generation = agents[agent].volumes[volume] ?? 0
            let behind = heads[volume] - generation
            if behind > 0 {
                // However far behind: what changed since moves, by generations or by a comparison of trees.
                bytes += generation > 0 ? min(size, Int64(behind) * load.volumes[volume].deltaBytes) : size
                let head = heads[volume]
                agents[agent].volumes[volume] = head
                timed { $0.hold(volume: volume, generation: head, agent) }
            }
        }
        let transfer = Double(bytes) / load.agents[agent].bandwidth
        states[stage].agent = agent
        agents[agent].running.insert(stage)
        figures.bytes += bytes
        figures.transfers += transfer
        states[stage].received = bytes
        figures.waits.append(now + transfer - states[stage].ready)
        events.add(
            now + transfer + load.builds[place.build].stages[place.stage].duration, .end(stage: stage, attempt: states[stage].attempt))
    }

    private mutating func finish(_ stage: Int) {
        guard let simulated = states[stage].simulated else { return }
        let place = places[stage]
        let build = load.builds[place.build]
        let shape = build.stages[place.stage]
        let agent = states[stage].agent
        states[stage].isDone = true
        states[stage].simulated = nil
        agents[agent].running.remove(stage)
        agents[agent].layers.insert(stage)
        let now = now
        let received = states[stage].received
        let bandwidth = load.agents[agent].bandwidth
        timed {
            $0.end(simulated, now)
            if received > 0 { $0.received(received, seconds: Double(received) / bandwidth, agent) }
            $0.hold(layer: stage, agent)
        }
        for volume in shape.volumes {
            heads[volume] += 1
            deltas[volume].append(load.volumes[volume].deltaBytes)
            if deltas[volume].count > Self.rememberedDeltas { deltas[volume].removeFirst() }
            // Others published meanwhile: the agent has brought theirs, and its own is the newest.
            let head = heads[volume]
            agents[agent].volumes[volume] = head
            timed { $0.hold(volume: volume, generation: head, agent) }
        }
        let kind = Kind(project: build.project, kind: shape.kind)
        let before = usual[kind] ?? (0, 0, 0)
        let share = 1 / Double(min(before.count + 1, 10))
        let difference = shape.duration - before.mean
        usual[kind] = (
            before.mean + share * difference, (1 - share) * (before.variance + share * difference * difference), before.count + 1
        )
        for dependent in dependents[stage] {
            open[dependent] -= 1
            if open[dependent] == 0 {
                states[dependent].ready = now
                offer(dependent)
            }
        }
        figures.ended(build: place.build, project: build.project, at: now)
    }

    /// What the policy takes is counted, what the simulation around it takes is not.
    private mutating func timed(_ body: (inout Policy) -> Void) {
        let start = clock.now
        body(&policy)
        figures.policySeconds += (clock.now - start).seconds
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// What will happen, the earliest first; of one moment in the order in which it was added.
struct EventQueue {
    enum Kind: Sendable {
        case join(Int)
        case leave(Int)
        case arrive(build: Int, first: Int)
        case end(stage: Int, attempt: Int)
        case wake
    }

    struct Event: Sendable {
        var time: Double
        var order: Int
        var kind: Kind
    }

    private var heap = Heap<Event> { a, b in a.time != b.time ? a.time < b.time : a.order < b.order }
    private var order = 0

    var isEmpty: Bool { heap.isEmpty }
    var nextTime: Double? { heap.first?.time }

    mutating func add(_ time: Double, _ kind: Kind) {
        order += 1
        heap.insert(Event(time: time, order: order, kind: kind))
    }

    mutating func next() -> Event? { heap.popFirst() }
}
