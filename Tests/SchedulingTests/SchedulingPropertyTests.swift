import BuildPlan
import Digests
import Testing

@testable import Scheduling

/// Random histories of a cluster with faults, and what must hold after each event.
@Suite("Scheduling of any cluster") struct SchedulingPropertyTests {
    private struct History {
        var random: Seeded
        var scheduler = Scheduler()
        var agents: [String: AgentProfile] = [:]
        var open: [String: StageDemand] = [:]
        var running: [String: String] = [:]
        var refused: Set<String> = []
        var ended = 0
        var now = 0.0
        var submitted = 0

        init(seed: Int) {
            random = Seeded(state: UInt64(seed))
            var policy = SchedulingPolicy()
            if random.chance(3) { policy.defaultLimit = Int.random(in: 1...4, using: &random) }
            // So that the way for many agents is gone too.
            if random.chance(2) { (policy.exhaustive, policy.sample) = (2, 2) }
            scheduler = Scheduler(policy: policy)
        }

        mutating func step() {
            now += Double.random(in: 0...5, using: &random)
            switch Int.random(in: 0..<12, using: &random) {
            case 0...3: submit()
            case 4...6: end()
            case 7: withdraw()
            case 8, 9: join()
            case 10: fault()
            default: hold()
            }
        }

        mutating func submit() {
            submitted += 1
            let random = self.random
            var demand = StageDemand(
                id: "s\(submitted)", owner: StageOwner(project: "p\(submitted % 3)", user: "u\(submitted % 2)", build: "b\(submitted % 5)"),
                platform: Cluster.amd64)
            self.random = random
            if self.random.chance(2) { demand.usualDuration = Double.random(in: 0...60, using: &self.random) }
            if self.random.chance(4) { demand.require = ["name": "a\(Int.random(in: 0..<6, using: &self.random))"] }
            if self.random.chance(4) { demand.volumes = [VolumeDemand(name: "v", head: 3, bytes: 3_000_000_000, changes: [1, 2])] }
            if self.random.chance(3) { demand.layers = [Cluster.layer("l", 200_000_000)] }
            if self.random.chance(5) { demand.cpus = Double(Int.random(in: 1...3, using: &self.random)) }
            if self.random.chance(5) { demand.avoid = ["a0"] }
            open[demand.id] = demand
            scheduler.submit(demand)
        }

        mutating func end() {
            guard let stage = running.keys.sorted().randomElement(using: &random) else { return }
            running[stage] = nil
            open[stage] = nil
            ended += 1
            scheduler.end(stage, now)
        }

        mutating func withdraw() {
            guard let stage = open.keys.sorted().randomElement(using: &random) else { return }
            running[stage] = nil
            open[stage] = nil
            refused.remove(stage)
            scheduler.withdraw(stage)
        }

        mutating func join() {
            var agent = Cluster.agent("a\(Int.random(in: 0..<6, using: &random))", slots: Int.random(in: 1...3, using: &random))
            agent.cpus = Double(Int.random(in: 0...4, using: &random))
            // Slots of one that is there do not shrink below what runs there: the coordinator ends the session first.
            if let before = agents[agent.name] { (agent.slots, agent.cpus) = (before.slots, before.cpus) }
            agents[agent.name] = agent
            scheduler.put(agent)
        }

        mutating func fault() {
            guard let name = agents.keys.sorted().randomElement(using: &random), var agent = agents[name] else { return }
            if random.chance(3) {
                for (stage, where_) in running.sorted(by: { $0.key < $1.key }) where where_ == name { retry(stage) }
                agents[name] = nil
                scheduler.remove(agent: name)
                return
            }
            agent.condition = [.lost, .draining, .setAside("it failed")].randomElement(using: &random) ?? .lost
            agents[name] = agent
            scheduler.put(agent)
            if agent.condition == .lost {
                for (stage, where_) in running.sorted(by: { $0.key < $1.key }) where where_ == name { retry(stage) }
            }
        }

        mutating func retry(_ stage: String) {
            guard let demand = open[stage] else { return }
            running[stage] = nil
            scheduler.withdraw(stage)
            scheduler.submit(demand)
        }

        mutating func hold() {
            guard let name = agents.keys.sorted().randomElement(using: &random) else { return }
            switch Int.random(in: 0..<4, using: &random) {
            case 0: scheduler.hold(volume: "v", generation: Int.random(in: 1...3, using: &random), agent: name)
            case 1: scheduler.drop(volume: "v", agent: name)
            case 2: scheduler.hold(Cluster.layer("l", 0).diffID, agent: name)
            default: scheduler.drop(Cluster.layer("l", 0).diffID, agent: name)
            }
        }

        func isAble(_ agent: AgentProfile, _ stage: StageDemand) -> Bool {
            agent.condition == .ready && stage.require.allSatisfy { agent.labels[$0.key] == $0.value } && stage.cpus <= agent.cpus
        }

        /// Takes the decisions and checks them.
        mutating func decide() {
            for (stage, decision) in scheduler.decide(now) {
                guard let demand = open[stage] else {
                    Issue.record("a decision about \(stage), which is not there")
                    continue
                }
                let able = agents.values.filter { isAble($0, demand) }
                switch decision {
                case .place(let placement), .wait(let placement):
                    #expect(running[stage] == nil, "\(stage) runs twice")
                    #expect(able.contains { $0.name == placement.agent })
                    #expect(placement.candidates[0].agent == placement.agent && !placement.reason.isEmpty)
                    if !able.allSatisfy({ demand.avoid.contains($0.name) }), placement.compared > 0 {
                        #expect(!demand.avoid.contains(placement.agent))
                    }
                    refused.remove(stage)
                    if case .place = decision { running[stage] = placement.agent }
                case .unschedulable(let reason, _):
                    #expect(able.isEmpty && !reason.isEmpty)
                    refused.insert(stage)
                }
            }
        }

        /// What holds at every moment.
        func check() {
            for (name, agent) in agents {
                let here = running.filter { $0.value == name }.keys
                #expect(here.count <= agent.slots, "\(name) has \(here.count) stages in \(agent.slots) slots")
                let cpus = here.reduce(0) { $0 + (open[$1]?.cpus ?? 0) }
                #expect(cpus <= agent.cpus, "\(name) gives its processors twice")
            }
            for stage in running.keys { #expect(scheduler.agent(of: stage) == running[stage]) }
        }
    }

    /// 200 long histories: 150 events, and an end in calm weather.
    @Test(arguments: 0..<200) func `no stage is lost or runs twice, slots and processors are kept, and all is done in the end`(seed: Int) {
        live(through: 150, seed: seed)
    }

    /// Twenty thousand short ones: most of what goes wrong does so within a few events of a fault.
    @Test(arguments: 0..<100) func `the same holds in twenty thousand short histories`(group: Int) {
        for number in 0..<200 { live(through: 12 + number % 24, seed: 1000 + group * 200 + number) }
    }

    private func live(through events: Int, seed: Int) {
        var history = History(seed: seed)
        for _ in 0..<events {
            history.step()
            history.decide()
            history.check()
        }
        // Calm: every agent is there, whatever runs ends, and nothing new comes. Work conserving: all that can run comes to run.
        for name in (0..<6).map({ "a\($0)" }) {
            var agent = history.agents[name] ?? Cluster.agent(name)
            agent.condition = .ready
            agent.cpus = 4
            agent.slots = max(agent.slots, 1)
            history.agents[name] = agent
            history.scheduler.put(agent)
        }
        for _ in 0..<3000 where !history.open.isEmpty {
            history.now += 1
            history.decide()
            history.check()
            history.end()
        }
        #expect(history.open.isEmpty, "seed \(seed): \(history.open.keys.sorted()) were never run")
        #expect(history.scheduler.waiting == 0, "seed \(seed)")
    }

    @Test(arguments: 0..<20) func `the same history gives the same decisions`(seed: Int) {
        func run() -> [String] {
            var history = History(seed: seed)
            for _ in 0..<100 {
                history.step()
                history.decide()
            }
            return history.running.map { "\($0.key) \($0.value)" }.sorted()
        }
        #expect(run() == run())
    }

    @Test(arguments: 0..<40) func `comparing some of many agents is hardly worse than comparing all`(seed: Int) {
        var random = Seeded(state: UInt64(seed))
        func scheduler(_ exhaustive: Int, _ random: inout Seeded) -> Scheduler {
            var policy = SchedulingPolicy()
            policy.exhaustive = exhaustive
            var scheduler = Scheduler(policy: policy)
            for number in 0..<300 {
                scheduler.put(Cluster.agent("a\(number)", slots: Int.random(in: 1...4, using: &random)))
                if random.chance(20) { scheduler.hold(volume: "v", generation: Int.random(in: 1...5, using: &random), agent: "a\(number)") }
                if random.chance(2) { scheduler.hold(Cluster.layer("l", 0).diffID, agent: "a\(number)") }
                for slot in 0..<Int.random(in: 0...4, using: &random) {
                    scheduler.adopt(
                        Cluster.stage("a\(number)/\(slot)") { $0.usualDuration = Double.random(in: 0...100, using: &random) },
                        on: "a\(number)", since: 0)
                }
            }
            return scheduler
        }
        let demand = Cluster.stage {
            $0.volumes = [VolumeDemand(name: "v", head: 5, bytes: 2_000_000_000, changes: [50_000_000, 50_000_000])]
            $0.layers = [Cluster.layer("l", 300_000_000)]
        }
        var again = random
        var all = scheduler(1000, &random)
        var some = scheduler(64, &again)
        guard case .place(let best) = all.decision(demand), case .place(let found) = some.decision(demand) else {
            Issue.record("not placed")
            return
        }
        func cost(_ placement: Placement) -> Double { placement.candidates[0].cost }
        #expect(cost(found) <= cost(best) * 1.1)
    }
}
