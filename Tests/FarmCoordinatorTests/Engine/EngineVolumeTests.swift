import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite("Volumes", .timeLimit(.minutes(1))) struct EngineVolumeTests {
    private let key = VolumeKey(project: "p", id: "c", platform: Make.platform)

    private func publication(_ parent: Int, _ content: String) -> PublishVolume {
        PublishVolume(key: key, digest: Digest.of(content), parent: parent, bytes: 1000, files: 10, deltaBytes: 100)
    }

    private func farm(_ names: [String]) async throws -> (EngineFarm, [FakeAgent]) {
        let farm = try await EngineFarm()
        let agents = names.map { FakeAgent($0, farm.engine, farm.contexts) }
        for agent in agents { try await agent.join() }
        return (farm, agents)
    }

    @Test func `deltas upon one parent are put one after another`() async throws {
        let (farm, _) = try await farm(["a", "b"])
        guard case .accepted(generation: 1) = try await farm.publish(publication(0, "x"), from: "a") else {
            Issue.record("not accepted")
            return
        }
        // b had the same parent: it hears who has the head.
        guard case .behind(head: 1, let holders) = try await farm.publish(publication(0, "y"), from: "b") else {
            Issue.record("not behind")
            return
        }
        #expect(holders.map(\.agent) == ["a"])
        #expect(holders.map(\.generation) == [1])
        #expect(holders.first?.grant == "b may fetch volume:p\nc\nlinux/amd64")
        guard case .accepted(generation: 2) = try await farm.publish(publication(1, "xy"), from: "b") else {
            Issue.record("not accepted")
            return
        }
        let shown = await farm.engine.volumes()
        #expect(shown.map(\.generation) == [2])
        #expect(shown[0].holders.map(\.generation) == [1, 2])
        await farm.end()
    }

    @Test func `who has a volume is known after a restart, before and after its holder is back`() async throws {
        let (farm, agents) = try await farm(["a"])
        _ = try await farm.publish(publication(0, "x"), from: "a")
        try await farm.restart()
        var holders = await farm.engine.volumes().map { $0.holders.map(\.agent) }
        #expect(holders == [["a"]])
        await agents[0].move(to: farm.engine)
        try await agents[0].join(volumes: [HeldVolume(key: publication(0, "x").key, generation: 1)])
        holders = await farm.engine.volumes().map { $0.holders.map(\.agent) }
        #expect(holders == [["a"]])
        await farm.end()
    }

    @Test func `a delta that is announced again is the same generation, also after a restart`() async throws {
        let (farm, agents) = try await farm(["a"])
        _ = try await farm.publish(publication(0, "x"), from: "a")
        try await farm.restart()
        let engine = farm.engine
        await agents[0].move(to: engine)
        try await agents[0].join()
        guard case .accepted(generation: 1) = try await farm.publish(publication(0, "x"), from: "a") else {
            Issue.record("published twice")
            return
        }
        // Back to earlier content is a new generation.
        _ = try await farm.publish(publication(1, "y"), from: "a")
        // An answer that was lost, asked for again when others have published meanwhile.
        guard case .accepted(generation: 1) = try await farm.publish(publication(0, "x"), from: "a") else {
            Issue.record("published twice, or taken for a rival")
            return
        }
        guard case .accepted(generation: 3) = try await farm.publish(publication(2, "x"), from: "a") else {
            Issue.record("not a new generation")
            return
        }
        await farm.end()
    }

    @Test func `a removed volume is gone for those who still have it, and its numbers are not used again`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        _ = try await farm.publish(publication(0, "x"), from: "a")
        try await farm.engine.removeVolume(project: "p", id: "c")
        try await eventually {
            await agents[0].commands.contains { if case .dropVolume = $0 { true } else { false } }
        }
        let none = await farm.engine.volumes()
        #expect(none.isEmpty)
        await #expect(throws: EngineError.self) { try await farm.engine.removeVolume(project: "p", id: "c") }
        guard case .gone = try await farm.publish(publication(1, "y"), from: "a") else {
            Issue.record("not gone")
            return
        }
        guard case .accepted(generation: 2) = try await farm.publish(publication(0, "new"), from: "b") else {
            Issue.record("not accepted")
            return
        }
        // An agent that was away brings the old generation back.
        var change = HoldingsChange()
        change.volumes = [HeldVolume(key: key, generation: 1)]
        try await farm.engine.holdingsChanged(change, of: "a")
        let holders = await farm.engine.volumes()[0].holders.map(\.agent)
        #expect(holders == ["b"])
        await farm.end()
    }

    @Test func `a volume in use is not removed`() async throws {
        let (farm, agents) = try await farm(["a"])
        await agents[0].play("RUN one", .hang)
        _ = try await farm.publish(publication(0, "x"), from: "a")
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("c")])])]))
        try await eventually { await agents[0].received.count == 1 }
        let id = try #require(await agents[0].received.first?.id)
        let needs = [AcquireVolumes.Need(key: key, sharing: .shared)]
        let got = try await farm.engine.acquire(AcquireVolumes(assignment: id, lock: "l", needs: needs), from: "a")
        #expect(got.volumes.map(\.head) == [1])
        await #expect(throws: EngineError.self) { try await farm.engine.removeVolume(project: "p", id: "c") }
        try await farm.engine.release(ReleaseVolumes(lock: "l"), from: "a")
        try await farm.engine.removeVolume(project: "p", id: "c")
        await farm.end()
    }

    @Test func `locks of a lost agent are free again`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        for agent in agents {
            await agent.play("RUN one", .hang)
            await agent.play("RUN two", .hang)
        }
        let mount = [Make.cache("c", .locked)]
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", mount)])]))
        try await eventually { await agents[0].received.count == 1 }
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("two", mount)])]))
        try await eventually { await agents[1].received.count == 1 }
        let mine = try #require(await agents[0].received.first?.id)
        let theirs = try #require(await agents[1].received.first?.id)
        let needs = [AcquireVolumes.Need(key: key, sharing: .locked)]
        let engine = farm.engine
        _ = try await engine.acquire(AcquireVolumes(assignment: mine, lock: "1", needs: needs), from: "a")
        await #expect(throws: EngineError.self) {
            try await engine.acquire(AcquireVolumes(assignment: mine, lock: "x", needs: needs), from: "b")
        }
        let waiting = Task { try await engine.acquire(AcquireVolumes(assignment: theirs, lock: "2", needs: needs), from: "b") }
        try await eventually { await engine.locks.owner(of: "2") != nil }
        await agents[0].die()
        try await farm.advance(farm.settings.lease + 2, alive: [agents[1]])
        _ = try await waiting.value
        await farm.end()
    }

    @Test func `what was written under a lock that was lost is not published`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        for agent in agents { await agent.play("RUN one", .hang) }
        let plan = Make.plan([Make.stage("main", [Make.run("one", [Make.cache("c", .locked)])])])
        _ = try await farm.submit(plan)
        try await eventually { await agents[0].received.count == 1 }
        let mine = try #require(await agents[0].received.first?.id)
        let needs = [AcquireVolumes.Need(key: key, sharing: .locked)]
        _ = try await farm.engine.acquire(AcquireVolumes(assignment: mine, lock: "1", needs: needs), from: "a")
        var published = publication(0, "x")
        published.lock = "1"
        guard case .stale = try await farm.engine.publish(published, from: "b") else {
            Issue.record("the lock is not b's")
            return
        }
        guard case .accepted(generation: 1) = try await farm.engine.publish(published, from: "a") else {
            Issue.record("not accepted")
            return
        }
        // a is silent until the stage is b's, and comes back with more.
        try await eventually {
            // What it had on its way may arrive late, and renew its lease once more.
            try await farm.advance(1, alive: [agents[1]])
            return await agents[1].received.count == 1
        }
        var late = publication(1, "y")
        late.lock = "1"
        guard case .stale = try await farm.engine.publish(late, from: "a") else {
            Issue.record("published without the lock")
            return
        }
        // What was accepted when it had the lock is still known: only the answer was lost.
        guard case .accepted(generation: 1) = try await farm.engine.publish(published, from: "a") else {
            Issue.record("forgotten")
            return
        }
        await farm.end()
    }

    private func isStale(_ volume: PublishVolume, from agent: String, _ farm: EngineFarm) async throws -> Bool {
        if case .stale = try await farm.engine.publish(volume, from: agent) { true } else { false }
    }

    @Test func `an agent publishes and hears of nothing but volumes that a step of it has`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        for (agent, step) in zip(agents, ["one", "two"]) { await agent.play("RUN \(step)", .hang) }
        _ = try await farm.publish(publication(0, "x"), from: "a")
        #expect(try await isStale(publication(0, "y"), from: "b", farm), "it has no stage at all")
        let mounts = [Make.cache("c"), Make.cache("d", .private)]
        for (agent, step) in zip(agents, ["one", "two"]) {
            _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run(step, mounts)])]))
            try await eventually { await agent.received.count == 1 }
        }
        #expect(try await isStale(publication(0, "y"), from: "b", farm), "its stage has not asked for the volume")
        let other = VolumeKey(project: "p", id: "d", platform: Make.platform)
        for agent in agents {
            let needs = [AcquireVolumes.Need(key: key, sharing: .shared), .init(key: other, sharing: .private)]
            let id = try #require(await agent.received.first?.id)
            _ = try await farm.engine.acquire(AcquireVolumes(assignment: id, lock: agent.name, needs: needs), from: agent.name)
        }
        guard case .behind(head: 1, let holders) = try await farm.engine.publish(publication(0, "y"), from: "b") else {
            Issue.record("not behind")
            return
        }
        #expect(holders.map(\.agent) == ["a"])
        var fork = PublishVolume(key: other, digest: Digest.of("f"), parent: 0, bytes: 1, files: 1, deltaBytes: 1, lock: "b")
        #expect(try await isStale(fork, from: "b", farm), "a has it to itself, b only a copy")
        fork.lock = nil
        #expect(try await isStale(fork, from: "b", farm))
        fork.key.id = "e"
        #expect(try await isStale(fork, from: "b", farm))
        // The step has ended.
        try await farm.engine.release(ReleaseVolumes(lock: "b"), from: "b")
        #expect(try await isStale(publication(1, "xy"), from: "b", farm))
        await farm.end()
    }

    @Test func `what a step has written to a shared volume is published after its lease has ended`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        for agent in agents { await agent.play("RUN one", .hang) }
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("c")])])]))
        try await eventually { await agents[0].received.count == 1 }
        let mine = try #require(await agents[0].received.first?.id)
        for lock in ["1", "2"] {
            let needs = [AcquireVolumes.Need(key: key, sharing: .shared)]
            _ = try await farm.engine.acquire(AcquireVolumes(assignment: mine, lock: lock, needs: needs), from: "a")
        }
        try await eventually {
            // What it had on its way may arrive late, and renew its lease once more.
            try await farm.advance(1, alive: [agents[1]])
            return await agents[1].received.count == 1
        }
        #expect(try await isStale(publication(0, "x"), from: "b", farm))
        guard case .accepted(generation: 1) = try await farm.engine.publish(publication(0, "x"), from: "a") else {
            Issue.record("what shared a volume is lost")
            return
        }
        try await farm.engine.release(ReleaseVolumes(lock: "1"), from: "b")
        try await farm.engine.release(ReleaseVolumes(lock: "1"), from: "a")
        guard case .accepted(generation: 2) = try await farm.engine.publish(publication(1, "y"), from: "a") else {
            Issue.record("the other step's is lost")
            return
        }
        // Another process has no mount of the one before.
        await agents[0].die()
        try await agents[0].join(volumes: [HeldVolume(key: key, generation: 2)])
        #expect(try await isStale(publication(2, "z"), from: "a", farm))
        await farm.end()
    }

    @Test func `who waits for a lock and gives up keeps the place`() async throws {
        let (farm, agents) = try await farm(["a"])
        await agents[0].play("RUN one", .hang)
        await agents[0].play("RUN two", .hang)
        let mount = [Make.cache("c", .locked)]
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", mount)])]))
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("two", mount)])]))
        try await eventually { await agents[0].received.count == 2 }
        let ids = await agents[0].received.map(\.id)
        let needs = [AcquireVolumes.Need(key: key, sharing: .locked)]
        let engine = farm.engine
        _ = try await engine.acquire(AcquireVolumes(assignment: ids[0], lock: "1", needs: needs), from: "a")
        let waiting = Task { try await engine.acquire(AcquireVolumes(assignment: ids[1], lock: "2", needs: needs), from: "a") }
        try await eventually { await engine.locks.owner(of: "2") != nil }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        try await engine.release(ReleaseVolumes(lock: "1"), from: "a")
        let granted = await engine.locks.grantedRequest("2")
        #expect(granted != nil)
        _ = try await engine.acquire(AcquireVolumes(assignment: ids[1], lock: "2", needs: needs), from: "a")
        await farm.end()
    }

    @Test func `layers are located for those who have a task, with grants`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        await agents[0].play("RUN one", .hang)
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        try await eventually { await agents[0].received.count == 1 }
        let assignment = try #require(await agents[0].received.first?.id)
        let layer = LayerDescriptor(diffID: Digest.of("l"), size: 5)
        var change = HoldingsChange()
        change.addedLayers = [layer]
        try await farm.engine.holdingsChanged(change, of: "b")
        let base = FakeImages.base.layers[0].diffID
        let found = try await farm.engine.locate(LayerQuery(purpose: assignment, layers: [layer.diffID, base]), from: "a").locations
        #expect(found[0].holders.map(\.agent) == ["b"])
        #expect(found[0].holders.map(\.grant) == ["a may fetch layer:\(layer.diffID)"])
        #expect(!found[0].atCoordinator)
        #expect(found[1].atCoordinator)
        await #expect(throws: EngineError.self) {
            try await farm.engine.locate(LayerQuery(purpose: assignment, layers: []), from: "b")
        }
        await #expect(throws: EngineError.self) { try await farm.engine.orderExport(id: "e", build: id, type: .oci, tags: []) }
        await agents[0].letGo()
        _ = try await farm.finish(id)
        let exporter = try await farm.engine.orderExport(id: "e", build: id, type: .oci, tags: ["t"])
        #expect(exporter == "a")
        try await eventually {
            await agents[0].commands.contains { if case .export(let order) = $0 { order.tags == ["t"] } else { false } }
        }
        _ = try await farm.engine.locate(LayerQuery(purpose: "e", layers: [base]), from: "a")
        // It is lost before it has sent anything: whoever waits for it is told, and another is asked.
        await agents[0].die()
        await farm.engine.exporterLost("e")
        await farm.engine.exportEnded("e")
        await #expect(throws: EngineError.self) { try await farm.engine.locate(LayerQuery(purpose: "e", layers: [base]), from: "a") }
        let next = try await farm.engine.orderExport(id: "f", build: id, type: .oci, tags: [], besides: ["a"])
        #expect(next == "b")
        await #expect(throws: EngineError.self) {
            try await farm.engine.orderExport(id: "g", build: id, type: .oci, tags: [], besides: ["a", "b"])
        }
        await farm.end()
    }
}
