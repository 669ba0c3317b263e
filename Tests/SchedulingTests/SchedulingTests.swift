import BuildPlan
import Digests
import Testing

@testable import Scheduling

@Suite("Placement") struct SchedulingTests {
    static let amd64 = Platform(os: "linux", architecture: "amd64")

    static func agent(_ name: String, slots: Int = 2, _ change: (inout AgentSnapshot) -> Void = { _ in }) -> AgentSnapshot {
        var agent = AgentSnapshot(name: name, labels: ["name": name], platforms: [amd64], slots: slots)
        change(&agent)
        return agent
    }

    static func stage(_ id: String = "s", _ change: (inout StageDemand) -> Void = { _ in }) -> StageDemand {
        var stage = StageDemand(id: id, platform: amd64)
        change(&stage)
        return stage
    }

    static func layer(_ name: String, _ size: Int64) -> LayerDescriptor { LayerDescriptor(diffID: Digest.of(name), size: size) }

    private func place(_ agents: [AgentSnapshot], _ stage: StageDemand) -> String? {
        var scheduler = Scheduler(agents: agents)
        if case .place(let placement) = scheduler.decide(stage) { return placement.agent }
        return nil
    }

    @Test func `the agent that has the layers is taken`() {
        let layer = Self.layer("l", 50_000_000)
        let agents = [Self.agent("a"), Self.agent("b") { $0.layers = [layer.diffID] }]
        #expect(place(agents, Self.stage { $0.layers = [layer] }) == "b")
    }

    @Test func `the agent that has the volume's newest generation is taken before one with an older, and that before one with none`() {
        let demand = Self.stage { $0.volumes = [VolumeDemand(name: "v", head: 5, bytes: 1_000_000_000)] }
        let head = Self.agent("c") { $0.volumes = ["v": 5] }
        let older = Self.agent("b") { $0.volumes = ["v": 3] }
        let none = Self.agent("a")
        #expect(place([none, older, head], demand) == "c")
        #expect(place([none, older], demand) == "b")
    }

    @Test func `what a volume lacks is the sum of what its generations changed, never more than the volume`() {
        func missing(_ changes: [Int64], on generation: Int?) -> Int64? {
            let demand = Self.stage { $0.volumes = [VolumeDemand(name: "v", head: 9, bytes: 1000, changes: changes)] }
            var scheduler = Scheduler(agents: [Self.agent("a") { agent in generation.map { agent.volumes["v"] = $0 } }])
            guard case .place(let placement) = scheduler.decide(demand) else { return nil }
            return placement.candidates[0].volumeBytes
        }
        #expect(missing([10, 20, 40], on: 9) == 0)
        #expect(missing([10, 20, 40], on: 7) == 30)
        #expect(missing([10, 20, 40], on: nil) == 1000)
        #expect(missing([10, 20], on: 5) == 60, "generations 6 and 7 are guessed by 8 and 9")
        #expect(missing([900, 900], on: 7) == 1000)
        #expect(missing([], on: 8) == 100, "nothing is known")
        #expect(missing([10], on: 12) == 1000, "of another history")
    }

    @Test func `independent stages without affinity are spread`() {
        var scheduler = Scheduler(agents: [Self.agent("a"), Self.agent("b")])
        let decisions = scheduler.decide([Self.stage("1"), Self.stage("2")])
        let agents = decisions.compactMap { if case .place(let placement) = $0 { placement.agent } else { nil } }
        #expect(agents == ["a", "b"])
    }

    @Test func `a short way for bytes does not keep two stages on one agent`() {
        let base = Self.layer("base", 300_000_000)
        var scheduler = Scheduler(agents: [Self.agent("a") { $0.layers = [base.diffID] }, Self.agent("b")])
        let decisions = scheduler.decide([Self.stage("1") { $0.layers = [base] }, Self.stage("2") { $0.layers = [base] }])
        let agents = decisions.compactMap { if case .place(let placement) = $0 { placement.agent } else { nil } }
        #expect(agents == ["a", "b"])
    }

    @Test func `a busy warm agent is waited for when moving the cache takes longer`() {
        let demand = Self.stage {
            $0.volumes = [VolumeDemand(name: "v", head: 1, bytes: 20_000_000_000)]
            $0.usualDuration = 10
        }
        let warm = Self.agent("a", slots: 1) {
            $0.volumes = ["v": 1]
            $0.running = [5]
        }
        var scheduler = Scheduler(agents: [warm, Self.agent("b")])
        guard case .wait(let placement) = scheduler.decide(demand) else {
            Issue.record("did not wait")
            return
        }
        #expect(placement.agent == "a")
        // A long queue is not worth it.
        let busy = Self.agent("a", slots: 1) {
            $0.volumes = ["v": 1]
            $0.running = [1000]
        }
        #expect(place([busy, Self.agent("b")], demand) == "b")
    }

    @Test func `a required label forces the place`() {
        let agents = [Self.agent("a"), Self.agent("b")]
        #expect(place(agents, Self.stage { $0.require = ["name": "b"] }) == "b")
    }

    @Test func `no agent with the label: says which label and which agents there are`() {
        var scheduler = Scheduler(agents: [Self.agent("a"), Self.agent("b")])
        #expect(
            scheduler.decide(Self.stage { $0.require = ["name": "c", "disk": "ssd"] })
                == .unschedulable(reason: "no agent has the label disk=ssd name=c (agents: a, b)", mayChange: false))
        var empty = Scheduler(agents: [])
        #expect(empty.decide(Self.stage()) == .unschedulable(reason: "no agent has joined this farm", mayChange: false))
        var other = Scheduler(agents: [Self.agent("a")])
        let arm = Self.stage { $0.platform = Platform(os: "linux", architecture: "arm64") }
        #expect(other.decide(arm) == .unschedulable(reason: "no agent runs linux/arm64 (agents: a)", mayChange: false))
    }

    @Test func `draining and lost agents get nothing`() {
        let agents = [Self.agent("a") { $0.condition = .draining }, Self.agent("b") { $0.condition = .lost }]
        var scheduler = Scheduler(agents: agents)
        #expect(scheduler.decide(Self.stage()) == .unschedulable(reason: "a is draining, b is lost", mayChange: true))
        #expect(place(agents + [Self.agent("c")], Self.stage()) == "c")
    }

    @Test func `an agent that could not do it is taken only when there is no other`() {
        let layer = Self.layer("l", 1_000_000_000)
        let warm = Self.agent("a") { $0.layers = [layer.diffID] }
        let demand = Self.stage {
            $0.layers = [layer]
            $0.avoid = ["a"]
        }
        #expect(place([warm, Self.agent("b")], demand) == "b")
        #expect(place([warm], demand) == "a")
    }

    @Test func `the reason names the sums`() {
        let layer = Self.layer("l", 220_000_000)
        var scheduler = Scheduler(agents: [Self.agent("a") { $0.layers = [layer.diffID] }, Self.agent("b")])
        let demand = Self.stage {
            $0.layers = [layer]
            $0.usualDuration = 3
        }
        guard case .place(let placement) = scheduler.decide(demand) else {
            Issue.record("not placed")
            return
        }
        #expect(placement.reason == "a: 0 B to bring, done in about 3.0 s; b: 220.0 MB to bring, done in about 5.0 s")
        #expect(placement.candidates.map(\.agent) == ["a", "b"])
        #expect(placement.candidates.map(\.layerBytes) == [0, 220_000_000])
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_550_000, "1.6 MB"), (Int64.max, "9223372.0 TB"),
        ] as [(Int64, String)]) func `bytes are said in round numbers`(bytes: Int64, text: String)
    {
        #expect(Explanation.bytes(bytes) == text)
    }

    @Test func `sizes that no machine has do no harm`() {
        let demand = Self.stage {
            $0.layers = [Self.layer("1", .max), Self.layer("2", .max), Self.layer("3", -5)]
            $0.contextBytes = .max
            $0.volumes = [VolumeDemand(name: "v", head: .max, bytes: .max)]
        }
        #expect(place([Self.agent("a")], demand) == "a")
    }
}

@Suite("Placement of any cluster") struct SchedulingPropertyTests {
    /// A small generator, so that a failing case can be had again by its seed.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private func cluster(_ random: inout Seeded) -> ([AgentSnapshot], [StageDemand]) {
        let layers = (0..<8).map { SchedulingTests.layer("\($0)", Int64.random(in: 0...2_000_000_000, using: &random)) }
        let agents = (0..<Int.random(in: 1...6, using: &random)).map { number in
            SchedulingTests.agent("agent-\(number)", slots: Int.random(in: 1...3, using: &random)) { agent in
                agent.condition = [.ready, .ready, .ready, .draining, .lost].randomElement(using: &random) ?? .ready
                agent.layers = Set(layers.filter { _ in Bool.random(using: &random) }.map(\.diffID))
                agent.running = (0..<Int.random(in: 0...4, using: &random)).map { _ in Double.random(in: 0...60, using: &random) }
                if Bool.random(using: &random) { agent.volumes["v"] = Int.random(in: 1...5, using: &random) }
            }
        }
        let stages = (0..<Int.random(in: 1...12, using: &random)).map { number in
            SchedulingTests.stage("\(number)") { stage in
                stage.layers = layers.filter { _ in Bool.random(using: &random) }
                stage.usualDuration = Bool.random(using: &random) ? Double.random(in: 0...100, using: &random) : nil
                if Bool.random(using: &random) { stage.volumes = [VolumeDemand(name: "v", head: 5, bytes: 3_000_000_000)] }
                if Int.random(in: 0..<4, using: &random) == 0 { stage.require = ["name": "agent-\(Int.random(in: 0...6, using: &random))"] }
                if Int.random(in: 0..<4, using: &random) == 0 { stage.avoid = ["agent-0"] }
            }
        }
        return (agents, stages)
    }

    @Test(arguments: 0..<300) func `decisions keep slots, labels and conditions, choose the least sum, and do not depend on order`(
        seed: Int
    ) {
        var random = Seeded(state: UInt64(seed))
        let (agents, stages) = cluster(&random)
        var scheduler = Scheduler(agents: agents)
        let decisions = scheduler.decide(stages)
        var again = Scheduler(agents: agents.shuffled(using: &random))
        #expect(again.decide(stages) == decisions)

        var placed: [String: Int] = [:]
        for (stage, decision) in zip(stages, decisions) {
            let able = agents.filter { agent in
                agent.condition == .ready && stage.require.allSatisfy { agent.labels[$0.key] == $0.value }
            }
            switch decision {
            case .place(let placement), .wait(let placement):
                #expect(able.contains { $0.name == placement.agent })
                #expect(!stage.avoid.contains(placement.agent) || able.allSatisfy { stage.avoid.contains($0.name) })
                #expect(placement.candidates.allSatisfy { $0.finish >= placement.candidates[0].finish })
                #expect(!placement.reason.isEmpty)
                if case .place = decision { placed[placement.agent, default: 0] += 1 }
            case .unschedulable(let reason, _):
                #expect(able.isEmpty)
                #expect(!reason.isEmpty)
            }
        }
        for agent in agents {
            let free = max(0, agent.slots - agent.running.count)
            #expect(placed[agent.name, default: 0] <= free)
        }
        // Work conserving: nobody waits for an agent that is free.
        for case .wait(let placement) in decisions { #expect(placement.candidates[0].queue > 0) }
    }
}
