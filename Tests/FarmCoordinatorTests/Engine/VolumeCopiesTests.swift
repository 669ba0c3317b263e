import BuildPlan
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite struct VolumeCopiesTests {
    private static let platform = Platform(os: "linux", architecture: "amd64")
    private static let key = VolumeKey(project: "p", id: "c", platform: platform)
    private let policy = VolumeCopies.Policy()

    private func agent(_ name: String, _ generation: Int?, _ change: (inout VolumeCopies.Agent) -> Void = { _ in }) -> VolumeCopies.Agent {
        var agent = VolumeCopies.Agent(
            name: name, platform: Self.platform, isReachable: true, isConnected: true, isDraining: false, silence: 0, running: 0,
            freeBytes: 1 << 40, volumes: generation.map { [Self.key: $0] } ?? [:])
        change(&agent)
        return agent
    }

    /// The agents that are ordered to copy, at the given times, when nothing is answered.
    private func ordered(_ agents: [VolumeCopies.Agent], head: [Int], at times: [Double]) -> [String?] {
        var copies = VolumeCopies()
        copies.suspect(Self.key)
        return zip(times, head).map { time, head in
            copies.plan(agents: agents, head: { _ in (head, 1000) }, now: time, policy).first?.agent
        }
    }

    @Test func `a head is copied once it has settled, and only once`() {
        #expect(ordered([agent("a", 1), agent("b", nil)], head: [1, 1, 1, 1], at: [0, 4.9, 5, 50]) == [nil, nil, "b", nil])
    }

    @Test func `a volume that never settles is copied after a while all the same`() {
        let times = stride(from: 0.0, through: 80, by: 2).map { $0 }
        var copies = VolumeCopies()
        copies.suspect(Self.key)
        var first: Double?
        for (index, time) in times.enumerated() {
            let agents = [agent("a", index + 1), agent("b", nil)]
            let orders = copies.plan(agents: agents, head: { _ in (index + 1, 1000) }, now: time, policy)
            if !orders.isEmpty, first == nil { first = time }
        }
        #expect(first == policy.patience)
    }

    @Test func `two agents that have it are enough, one that is lost for long counts no more`() {
        #expect(ordered([agent("a", 1), agent("b", 1), agent("c", nil)], head: [1, 1], at: [0, 100]) == [nil, nil])
        func lost(_ silence: Double) -> VolumeCopies.Agent {
            agent("b", 1) {
                $0.isReachable = false
                $0.isConnected = false
                $0.silence = silence
            }
        }
        #expect(ordered([agent("a", 1), lost(30), agent("c", nil)], head: [1, 1], at: [0, 10]) == [nil, nil])
        #expect(ordered([agent("a", 1), lost(61), agent("c", nil)], head: [1, 1], at: [0, 10]) == [nil, "c"])
    }

    @Test func `what only a draining agent has is copied at once, and nothing is copied to it`() {
        #expect(ordered([agent("a", 1) { $0.isDraining = true }, agent("b", nil)], head: [1], at: [0]) == ["b"])
        #expect(ordered([agent("a", 1), agent("b", nil) { $0.isDraining = true }], head: [1, 1], at: [0, 99]) == [nil, nil])
    }

    @Test func `the copy goes where the least is missing, where there is room, and where builds can use it`() {
        let old = agent("z", 3)
        #expect(ordered([agent("a", 4), agent("b", nil), old], head: [4, 4], at: [0, 5])[1] == "z")
        let full = agent("b", nil) { $0.freeBytes = 1999 }
        #expect(ordered([agent("a", 4), full, agent("c", nil)], head: [4, 4], at: [0, 5])[1] == "c")
        #expect(ordered([agent("a", 4), full], head: [4, 4], at: [0, 5])[1] == nil)
        let arm = agent("b", nil) { $0.platform = Platform(os: "linux", architecture: "arm64") }
        #expect(ordered([agent("a", 4), arm, agent("c", nil)], head: [4, 4], at: [0, 5])[1] == "c")
        #expect(ordered([agent("a", 4), arm], head: [4, 4], at: [0, 5])[1] == "b", "better there than nowhere")
        let busy = agent("b", nil) { $0.running = 1 }
        #expect(ordered([agent("a", 4), busy, agent("c", nil)], head: [4, 4], at: [0, 5])[1] == "c")
    }

    @Test func `an agent receives no more copies at a time than it shall, and goes on when one has ended`() {
        var copies = VolumeCopies()
        let keys = (1...3).map { VolumeKey(project: "p", id: "\($0)", platform: Self.platform) }
        for key in keys { copies.suspect(key) }
        let holder = agent("a", nil) { agent in for key in keys { agent.volumes[key] = 1 } }
        let agents = [holder, agent("b", nil)]
        func plan(_ now: Double) -> [VolumeCopies.Order] { copies.plan(agents: agents, head: { _ in (1, 10) }, now: now, policy) }
        #expect(plan(0).isEmpty)
        let first = plan(5)
        #expect(first.count == 1)
        #expect(plan(6).isEmpty)
        copies.ended(first[0].key, on: "b", isDone: true, now: 7, policy)
        #expect(plan(7).count == 1)
    }

    @Test func `an agent gives no more copies at a time than it shall, and those that others have too come from them`() {
        var copies = VolumeCopies()
        let keys = (1...4).map { VolumeKey(project: "p", id: "\($0)", platform: Self.platform) }
        for key in keys { copies.suspect(key) }
        let goes = agent("a", nil) { agent in
            agent.isDraining = true
            for key in keys { agent.volumes[key] = 1 }
        }
        let also = agent("z", nil) { agent in
            agent.isDraining = true
            agent.volumes[keys[3]] = 1
        }
        let agents = [goes, also] + ["b", "c", "d", "e"].map { agent($0, nil) }
        func plan(_ now: Double) -> [VolumeCopies.Order] { copies.plan(agents: agents, head: { _ in (1, 10) }, now: now, policy) }
        let first = plan(0)
        #expect(first.count == policy.sending + 1)
        #expect(first.count { $0.source == "a" } == policy.sending)
        #expect(first.first { $0.key == keys[3] }?.source == "z")
        #expect(plan(1).isEmpty)
        copies.ended(first[0].key, on: first[0].agent, isDone: true, now: 2, policy)
        #expect(plan(2).map(\.source) == ["a"])
    }

    @Test func `a copy that fails is tried later and elsewhere, each time after a longer pause`() {
        var copies = VolumeCopies()
        copies.suspect(Self.key)
        let agents = [agent("a", 1), agent("b", nil), agent("c", nil)]
        func plan(_ now: Double) -> String? { copies.plan(agents: agents, head: { _ in (1, 10) }, now: now, policy).first?.agent }
        #expect(plan(0) == nil)
        #expect(plan(5) == "b")
        copies.ended(Self.key, on: "b", isDone: false, now: 6, policy)
        #expect(plan(15.9) == nil)
        #expect(plan(16) == "c")
        copies.ended(Self.key, on: "c", isDone: false, now: 20, policy)
        #expect(plan(39) == nil)
        #expect(plan(40) == "b")
        // Its session has ended: nobody will answer.
        copies.forget(agent: "b")
        #expect(plan(41) != nil)
    }

    @Test func `an order whose outcome never comes is given again, to another agent first, after the time that its bytes may take`() {
        var copies = VolumeCopies()
        copies.suspect(Self.key)
        let agents = [agent("a", 1), agent("b", nil), agent("c", nil)]
        func plan(_ now: Double) -> String? { copies.plan(agents: agents, head: { _ in (1, 400_000_000) }, now: now, policy).first?.agent }
        #expect(plan(0) == nil)
        #expect(plan(5) == "b")
        #expect(plan(5 + 999) == nil)
        #expect(plan(5 + 1000) == nil, "it counts as a failure")
        #expect(plan(5 + 1000 + policy.pause) == "c")
    }

    @Test func `a volume that is no more leaves nothing here`() {
        var copies = VolumeCopies()
        copies.suspect(Self.key)
        let agents = [agent("a", 1), agent("b", nil)]
        _ = copies.plan(agents: agents, head: { _ in (1, 10) }, now: 0, policy)
        #expect(copies.plan(agents: agents, head: { _ in (1, 10) }, now: 5, policy).count == 1)
        copies.suspect(Self.key)
        #expect(copies.plan(agents: agents, head: { _ in nil }, now: 6, policy).isEmpty)
        #expect(copies.orders.isEmpty)
    }
}

extension VolumeCopies {
    /// With who has what taken from the agents themselves.
    fileprivate mutating func plan(
        agents: [Agent], head: (VolumeKey) -> (generation: Int, bytes: Int64)?, now: Double, _ policy: Policy
    ) -> [Order] {
        plan(
            agents: agents, holders: { key in Set(agents.filter { $0.volumes[key] != nil }.map(\.name)) }, head: head, now: now, policy)
    }
}
