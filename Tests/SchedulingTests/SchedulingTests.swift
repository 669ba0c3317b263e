import BuildPlan
import Digests
import Testing

@testable import Scheduling

@Suite("Placement") struct SchedulingTests {
    typealias C = Cluster

    @Test func `the agent that has the layers is taken`() {
        let layer = C.layer("l", 50_000_000)
        var scheduler = Scheduler([C.agent("a"), C.agent("b")])
        scheduler.hold(layer.diffID, agent: "b")
        #expect(scheduler.placed(C.stage { $0.layers = [layer] }) == "b")
        // What it has lost it has no more.
        scheduler.drop(layer.diffID, agent: "b")
        scheduler.end("s", 1)
        #expect(scheduler.placed(C.stage { $0.layers = [layer] }, at: 1) == "a")
    }

    @Test func `the agent that has the volume's newest generation is taken before one with an older, and that before one with none`() {
        let demand = C.stage { $0.volumes = [VolumeDemand(name: "v", head: 5, bytes: 1_000_000_000, changes: [90_000_000, 90_000_000])] }
        var scheduler = Scheduler([C.agent("a"), C.agent("b"), C.agent("c")])
        scheduler.hold(volume: "v", generation: 3, agent: "b")
        scheduler.hold(volume: "v", generation: 5, agent: "c")
        #expect(scheduler.placed(demand) == "c")
        scheduler.end("s", 1)
        scheduler.drop(volume: "v", agent: "c")
        #expect(scheduler.placed(demand, at: 1) == "b")
    }

    @Test(
        arguments: [
            ([10, 20, 40], 9, 0), ([10, 20, 40], 7, 30), ([10, 20, 40], 0, 1000),
            // Generations 6 and 7 are guessed by 8 and 9.
            ([10, 20], 5, 60), ([900, 900], 7, 1000),
            // Nothing is known.
            ([], 8, 100),
            // Of another history.
            ([10], 12, 1000), ([10], -1, 1000),
        ] as [([Int64], Int, Int64)])
    func `what a volume lacks is the sum of what its generations changed, never more than the volume`(
        changes: [Int64], generation: Int, bytes: Int64
    ) {
        #expect(VolumeDemand(name: "v", head: 9, bytes: 1000, changes: changes).missingBytes(since: generation) == bytes)
        #expect(VolumeDemand(name: "v", head: 0, bytes: 1000).missingBytes(since: 0) == 0)
    }

    @Test func `a stage that waits for a lock leaves its slot to others, and is not charged for the wait`() {
        var scheduler = Scheduler([C.agent("a", slots: 1)])
        scheduler.submit(C.stage("waits"))
        #expect(scheduler.placements().map(\.stage) == ["waits"])
        scheduler.submit(C.stage("other"))
        #expect(scheduler.placements(at: 1).isEmpty)
        scheduler.pause("waits", 2)
        #expect(scheduler.placements(at: 2).map(\.stage) == ["other"])
        // Its lock has come: it goes on at once, and then two run where there is one slot.
        scheduler.resume("waits", 10)
        scheduler.submit(C.stage("third"))
        #expect(scheduler.placements(at: 10).isEmpty)
        scheduler.end("other", 11)
        #expect(scheduler.placements(at: 11).isEmpty)
        scheduler.end("waits", 12)
        #expect(scheduler.placements(at: 12).map(\.stage) == ["third"])
    }

    @Test func `independent stages without affinity are spread`() {
        var scheduler = Scheduler([C.agent("a"), C.agent("b")])
        for stage in ["1", "2"] { scheduler.submit(C.stage(stage)) }
        #expect(scheduler.placements().map(\.agent) == ["a", "b"])
    }

    @Test func `a short way for bytes does not keep two stages on one agent`() {
        let base = C.layer("base", 300_000_000)
        var scheduler = Scheduler([C.agent("a"), C.agent("b")])
        scheduler.hold(base.diffID, agent: "a")
        for stage in ["1", "2"] { scheduler.submit(C.stage(stage) { $0.layers = [base] }) }
        #expect(scheduler.placements().map(\.agent) == ["a", "b"])
    }

    @Test func `while many stages wait, a copy counts more: its slot keeps others waiting`() {
        let warm = C.stage {
            $0.volumes = [VolumeDemand(name: "v", head: 1, bytes: 1_100_000_000)]
            $0.usualDuration = 10
        }
        for (others, expected) in [(0, "b"), (50, "a")] {
            var scheduler = Scheduler([C.agent("a", slots: 1), C.agent("b", slots: 1)])
            scheduler.hold(volume: "v", generation: 1, agent: "a")
            scheduler.adopt(C.stage("before") { $0.usualDuration = 15 }, on: "a", since: 0)
            scheduler.submit(warm)
            for other in 0..<others { scheduler.submit(C.stage("\(other)") { $0.require = ["name": "a"] }) }
            let decision = scheduler.decide(0).first { $0.stage == "s" }?.decision
            let agent: String? =
                switch decision {
                case .place(let placement), .wait(let placement): placement.agent
                default: nil
                }
            #expect(agent == expected)
        }
    }

    @Test func `a busy warm agent is waited for when moving the cache takes longer, and not when its queue is long`() {
        let demand = C.stage {
            $0.volumes = [VolumeDemand(name: "v", head: 1, bytes: 20_000_000_000)]
            $0.usualDuration = 10
        }
        for (rest, expected) in [(5.0, "a"), (1000, "b")] {
            var scheduler = Scheduler([C.agent("a", slots: 1), C.agent("b")])
            scheduler.hold(volume: "v", generation: 1, agent: "a")
            scheduler.adopt(C.stage("other") { $0.usualDuration = rest }, on: "a", since: 0)
            let decision = scheduler.decision(demand)
            if expected == "b" {
                guard case .place(let placement) = decision else {
                    Issue.record("not placed: \(String(describing: decision))")
                    return
                }
                #expect(placement.agent == "b")
            } else {
                guard case .wait(let placement) = decision else {
                    Issue.record("did not wait: \(String(describing: decision))")
                    return
                }
                #expect(placement.agent == "a")
                // It gets the slot when it is free, before who came later.
                scheduler.submit(C.stage("later") { $0.require = ["name": "a"] })
                scheduler.end("other", 4)
                let placements = scheduler.placements(at: 4)
                #expect(placements.map(\.stage) == ["s"] && placements.map(\.agent) == ["a"])
            }
        }
    }

    @Test func `who waits for an agent that does not get free in time goes elsewhere`() {
        var scheduler = Scheduler([C.agent("a", slots: 1), C.agent("b")])
        scheduler.hold(volume: "v", generation: 1, agent: "a")
        scheduler.adopt(C.stage("other") { $0.usualDuration = 5 }, on: "a", since: 0)
        let demand = C.stage {
            $0.volumes = [VolumeDemand(name: "v", head: 1, bytes: 4_000_000_000)]
            $0.usualDuration = 10
        }
        guard case .wait = scheduler.decision(demand) else {
            Issue.record("did not wait")
            return
        }
        var time = 0.0
        var placed: String?
        while placed == nil, time < 200 {
            time += 0.5
            placed = scheduler.placements(at: time).first?.agent
        }
        // The copy takes 36 s and counts half; an overdue stage is expected to go on for a quarter of its time.
        #expect(placed == "b")
        #expect((5...80).contains(time))
    }

    @Test func `who waits for an agent that is lost waits no more`() {
        var scheduler = Scheduler([C.agent("a", slots: 1), C.agent("b")])
        scheduler.hold(volume: "v", generation: 1, agent: "a")
        scheduler.adopt(C.stage("other") { $0.usualDuration = 5 }, on: "a", since: 0)
        guard case .wait = scheduler.decision(C.stage { $0.volumes = [VolumeDemand(name: "v", head: 1, bytes: 20_000_000_000)] }) else {
            Issue.record("did not wait")
            return
        }
        scheduler.put(C.agent("a", slots: 1) { $0.condition = .lost })
        #expect(scheduler.placements(at: 1).map(\.agent) == ["b"])
    }

    @Test func `a required label forces the place, a preferred one draws`() {
        var scheduler = Scheduler([C.agent("a"), C.agent("b") { $0.labels["disk"] = "ssd" }])
        #expect(scheduler.placed(C.stage("1") { $0.require = ["name": "b"] }) == "b")
        #expect(scheduler.placed(C.stage("2") { $0.prefer = ["disk": "ssd"] }) == "b")
        // Not at any price.
        let layer = C.layer("l", 10_000_000_000)
        scheduler.hold(layer.diffID, agent: "a")
        scheduler.end("1", 1)
        let far = C.stage("3") {
            $0.prefer = ["disk": "ssd"]
            $0.layers = [layer]
        }
        #expect(scheduler.placed(far, at: 1) == "a")
    }

    @Test func `no agent could run it: says what is missing and what there is, at once, also when all are busy`() {
        func refusal(_ agents: [AgentProfile], _ stage: StageDemand) -> String? {
            var scheduler = Scheduler(agents)
            for agent in agents {
                for slot in 0..<agent.slots { scheduler.adopt(C.stage("\(agent.name)/\(slot)"), on: agent.name, since: 0) }
            }
            guard case .unschedulable(let reason, false) = scheduler.decision(stage) else { return nil }
            return reason
        }
        #expect(
            refusal([C.agent("a"), C.agent("b")], C.stage { $0.require = ["name": "c", "disk": "ssd"] })
                == "no agent has the label disk=ssd name=c (agents: a, b)")
        #expect(refusal([], C.stage()) == "no agent has joined this farm")
        let arm = C.stage { $0.platform = Platform(os: "linux", architecture: "arm64") }
        #expect(
            refusal([C.agent("a")], arm)
                == "no agent runs linux/arm64 (agents: a); an operator can allow emulation by an agent's setting emulate")
    }

    @Test func `no agent is large enough: says what each has for a stage`() {
        func refusal(_ agents: [AgentProfile], cpus: Double = 0, memory: Int64 = 0) -> String? {
            var scheduler = Scheduler(agents)
            guard case .unschedulable(let reason, false) = scheduler.decision(C.stage { ($0.cpus, $0.memory) = (cpus, memory) }) else {
                return nil
            }
            return reason
        }
        // No one of them has both.
        let agents = [C.agent("a") { ($0.cpus, $0.memory) = (4, 128 << 30) }, C.agent("b") { ($0.cpus, $0.memory) = (16, 8 << 30) }]
        #expect(
            refusal(agents, cpus: 8, memory: 64 << 30)
                == "no agent has 8 CPUs and 64 GiB of memory for a stage (a: 4 CPUs and 128 GiB of memory, b: 16 CPUs and 8 GiB of memory)")
        #expect(refusal(agents, cpus: 8, memory: 8 << 30) == nil)
        // Its steps may not have more than this, however large the machine is.
        let strict = C.agent("c") { ($0.cpus, $0.memory, $0.stageCPUs, $0.stageMemory) = (16, 8 << 30, 1.5, 1 << 30) }
        #expect(
            refusal([strict], cpus: 1.75) == "no agent has 1.75 CPUs for a stage (c: 1.5 CPUs and 1 GiB of memory)")
        #expect(refusal([strict], cpus: 1.5, memory: 1 << 30) == nil)
        let without = C.agent("d") { $0.withoutLimits = "it has no cgroups" }
        #expect(refusal([without], memory: 1 << 20) == "no agent has 1 MiB of memory for a stage (d: none, it has no cgroups)")
        #expect(refusal([without]) == nil)
    }

    @Test func `parts of processors add up`() {
        var scheduler = Scheduler([C.agent("a", slots: 20) { $0.cpus = 1 }])
        for number in 0..<11 { scheduler.submit(C.stage("\(number)") { $0.cpus = 0.1 }) }
        #expect(scheduler.placements().count == 10)
        #expect(abs(scheduler.reserved(on: "a").cpus - 1) < 1e-9)
        #expect(scheduler.reserved(on: "nobody") == (0, 0))
        scheduler.end("3", 1)
        #expect(scheduler.placements(at: 1).map(\.stage) == ["10"])
    }

    @Test func `draining, lost and set-aside agents get nothing, and the stage goes on when one comes`() {
        var scheduler = Scheduler([
            C.agent("a") { $0.condition = .draining }, C.agent("b") { $0.condition = .lost },
            C.agent("c") { $0.condition = .setAside("its disk is full") },
        ])
        #expect(
            scheduler.decision(C.stage())
                == .unschedulable(reason: "a is draining, b is lost, c is set aside (its disk is full)", mayChange: true))
        #expect(scheduler.decide(1).isEmpty)
        scheduler.put(C.agent("d"))
        #expect(scheduler.placements(at: 2).map(\.agent) == ["d"])
    }

    @Test func `another architecture is run by emulation where that is allowed, and rather not`() {
        let arm = Platform(os: "linux", architecture: "arm64")
        let stage = C.stage { $0.platform = arm }
        var scheduler = Scheduler([C.agent("a") { $0.emulated = [arm] }])
        #expect(scheduler.placed(stage) == "a")
        scheduler.end("s", 1)
        scheduler.put(C.agent("b") { $0.platforms = [arm] })
        #expect(scheduler.placed(stage, at: 1) == "b")
    }

    @Test func `processors and memory that are reserved are not given twice`() {
        var scheduler = Scheduler([C.agent("a", slots: 8) { ($0.cpus, $0.memory) = (4, 8_000) }])
        func stage(_ id: String, _ cpus: Double, _ memory: Int64) -> StageDemand {
            C.stage(id) {
                ($0.cpus, $0.memory) = (cpus, memory)
                $0.usualDuration = 10
            }
        }
        #expect(scheduler.placed(stage("1", 3, 1000)) == "a")
        guard case .wait = scheduler.decision(stage("2", 2, 1000)) else {
            Issue.record("four processors are five")
            return
        }
        // One that needs none passes.
        #expect(scheduler.placed(stage("3", 0, 0)) == "a")
        scheduler.end("1", 5)
        #expect(scheduler.placements(at: 5).map(\.stage) == ["2"])
        guard case .wait = scheduler.decision(stage("4", 0, 7_500), at: 5) else {
            Issue.record("memory is given twice")
            return
        }
    }

    @Test func `an agent that could not do it is taken only when there is no other`() {
        let layer = C.layer("l", 1_000_000_000)
        let demand = C.stage {
            $0.layers = [layer]
            $0.avoid = ["a"]
        }
        var scheduler = Scheduler([C.agent("a"), C.agent("b")])
        scheduler.hold(layer.diffID, agent: "a")
        #expect(scheduler.placed(demand) == "b")
        var alone = Scheduler([C.agent("a")])
        #expect(alone.placed(demand) == "a")
    }

    @Test func `measured bandwidth counts`() {
        let layer = C.layer("l", 1_000_000_000)
        var scheduler = Scheduler([C.agent("a"), C.agent("b"), C.agent("c")])
        scheduler.hold(layer.diffID, agent: "c")
        scheduler.adopt(C.stage("busy") { $0.usualDuration = 1000 }, on: "c", since: 0)
        scheduler.adopt(C.stage("busy too") { $0.usualDuration = 1000 }, on: "c", since: 0)
        for _ in 0..<30 {
            scheduler.transferred(from: "c", to: "a", bytes: 100_000_000, seconds: 10)
            scheduler.transferred(from: "c", to: "b", bytes: 1_000_000_000, seconds: 1)
        }
        // A small transfer says nothing.
        scheduler.transferred(from: "c", to: "b", bytes: 100, seconds: 1)
        guard case .place(let placement) = scheduler.decision(C.stage { $0.layers = [layer] }) else {
            Issue.record("not placed")
            return
        }
        #expect(placement.candidates.map(\.agent) == ["b", "a", "c"])
        #expect(placement.candidates.map { ($0.transfer * 10).rounded() / 10 } == [1, 100, 0])
    }

    @Test func `the context and what only the coordinator has come at the coordinator's pace`() throws {
        var scheduler = Scheduler([C.agent("a")])
        for _ in 0..<30 { scheduler.transferred(from: nil, to: "a", bytes: 100_000_000, seconds: 10) }
        let demand = C.stage {
            $0.contextBytes = 100_000_000
            $0.layers = [C.layer("imported", 200_000_000)]
        }
        guard case .place(let placement) = scheduler.decision(demand) else {
            Issue.record("not placed")
            return
        }
        #expect((placement.candidates[0].transfer * 10).rounded() == 300)
    }

    @Test func `the reason names the sums`() {
        let layer = C.layer("l", 220_000_000)
        var scheduler = Scheduler([C.agent("a"), C.agent("b")])
        scheduler.hold(layer.diffID, agent: "a")
        let demand = C.stage {
            $0.layers = [layer]
            $0.usualDuration = 3
        }
        guard case .place(let placement) = scheduler.decision(demand) else {
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
        let demand = C.stage {
            $0.layers = [C.layer("1", .max), C.layer("2", .max), C.layer("3", -5)]
            $0.contextBytes = .max
            $0.volumes = [VolumeDemand(name: "v", head: .max, bytes: .max, changes: [.max, .max])]
            $0.usualDuration = .infinity
        }
        var scheduler = Scheduler([C.agent("a") { $0.cpus = .nan }])
        #expect(scheduler.placed(demand) == "a")
    }

    @Test func `what is overdue is expected to go on by its spread`() {
        func left(_ deviation: Double?, after ran: Double) -> Double {
            Occupation(stage: "s", start: 0, duration: 100, deviation: deviation, cpus: 0, memory: 0).end(ran, overdue: 0.25) - ran
        }
        // Steady stages are soon done, others may take much longer; while it is young the mean counts.
        #expect(left(2, after: 110) < 5 && left(nil, after: 110) == 27.5 && left(80, after: 110) > 70)
        #expect(left(2, after: 10) == 90 && left(80, after: 0) == 100)
        // What is far beyond is not expected to end at once.
        #expect(left(2, after: 1000) > 200)
        #expect(left(0, after: 100) > 0)
    }

    @Test func `each agent says what keeps a stage from it`() {
        let scheduler = Scheduler([
            C.agent("a"), C.agent("b") { $0.labels["gpu"] = "yes" }, C.agent("c") { $0.condition = .setAside("its disk is full") },
        ])
        let found = scheduler.objections(to: C.stage { $0.require = ["gpu": "yes"] })
        #expect(found.map(\.agent) == ["a", "c"])
        #expect(scheduler.objections(to: C.stage()).map(\.reason) == ["it is set aside (its disk is full)"])
    }
}
