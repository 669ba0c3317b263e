import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite(.timeLimit(.minutes(2)))
struct EngineCollectionTests {
    private func key(_ id: String, project: String = "p") -> VolumeKey { VolumeKey(project: project, id: id, platform: Make.platform) }

    private func farm(_ names: [String], quotas: VolumeQuotas = VolumeQuotas()) async throws -> (EngineFarm, [FakeAgent]) {
        var settings = EngineSettings()
        settings.quotas = quotas
        settings.copies.copies = 1
        settings.copies.tight = 20
        let farm = try await EngineFarm(settings: settings)
        let agents = names.map { FakeAgent($0, farm.engine, farm.contexts) }
        for agent in agents { try await agent.join() }
        return (farm, agents)
    }

    private func publish(_ key: VolumeKey, _ bytes: Int64, on farm: EngineFarm, from agent: String = "a") async throws {
        let head = await farm.engine.ledger.head(of: key)
        _ = try await farm.publish(
            PublishVolume(
                key: key, digest: Digest.of("\(key.id) \(head)"), parent: head, bytes: bytes, files: 1, deltaBytes: bytes), from: agent)
        farm.clock.advance(0.01)
    }

    private func ids(_ farm: EngineFarm) async -> [String] { await farm.engine.volumes().map(\.id) }

    @Test func `a project above its quota loses the volumes that were unused for longest, down to the low mark, and no other project's`()
        async throws
    {
        let (farm, agents) = try await farm(["a"], quotas: VolumeQuotas(usual: 0, projects: ["p": 100], low: 0.7))
        for (id, bytes) in [("old", 30), ("used", 30), ("new", 30)] as [(String, Int64)] { try await publish(key(id), bytes, on: farm) }
        try await publish(key("big", project: "q"), 10_000, on: farm)
        try await farm.advance(1, alive: agents)
        #expect(await ids(farm) == ["new", "old", "used", "big"])
        // A step gets the oldest one: now another is the longest unused.
        await agents[0].play("RUN one", .hang)
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("old")])])]))
        try await eventually { await agents[0].received.count == 1 }
        let id = try #require(await agents[0].received.first?.id)
        _ = try await farm.engine.acquire(
            AcquireVolumes(assignment: id, lock: "l", needs: [.init(key: key("old"), sharing: .shared)]), from: "a")
        try await farm.engine.release(ReleaseVolumes(lock: "l"), from: "a")
        farm.clock.advance(0.01)
        try await publish(key("newest"), 30, on: farm)
        try await farm.advance(1, alive: agents)
        #expect(await ids(farm) == ["newest", "old", "big"], "120 of 100, down to 70")
        try await eventually { await dropped(agents[0]) == ["new", "used"] }
        await farm.end()
    }

    @Test func `a volume in use is not removed for a quota, until it is given back`() async throws {
        let (farm, agents) = try await farm(["a"], quotas: VolumeQuotas(usual: 100))
        await agents[0].play("RUN one", .hang)
        let build = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("c")])])]))
        try await eventually { await agents[0].received.count == 1 }
        let id = try #require(await agents[0].received.first?.id)
        let needs = [AcquireVolumes.Need(key: key("c"), sharing: .shared)]
        _ = try await farm.engine.acquire(AcquireVolumes(assignment: id, lock: "l", needs: needs), from: "a")
        try await publish(key("c"), 1000, on: farm)
        try await farm.advance(2, alive: agents)
        #expect(await ids(farm) == ["c"])
        try await farm.engine.release(ReleaseVolumes(lock: "l"), from: "a")
        try await farm.advance(2, alive: agents)
        #expect(await ids(farm) == [])
        await agents[0].letGo()
        let events = try await farm.finish(build)
        #expect(
            events.contains { if case .warning(let text) = $0.kind { text.contains("volume c") && text.contains("quota") } else { false } })
        await farm.end()
    }

    @Test func `a volume above its project's quota by itself goes when it is given back, and no other goes for it`() async throws {
        let (farm, agents) = try await farm(["a"], quotas: VolumeQuotas(usual: 100))
        try await publish(key("small"), 45, on: farm)
        await agents[0].play("RUN one", .hang)
        let build = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("large")])])]))
        try await eventually { await agents[0].received.count == 1 }
        let id = try #require(await agents[0].received.first?.id)
        let needs = [AcquireVolumes.Need(key: key("large"), sharing: .shared)]
        _ = try await farm.engine.acquire(AcquireVolumes(assignment: id, lock: "l", needs: needs), from: "a")
        try await publish(key("large"), 150, on: farm)
        try await farm.advance(2, alive: agents)
        #expect(await ids(farm) == ["large", "small"])
        try await farm.engine.release(ReleaseVolumes(lock: "l"), from: "a")
        try await farm.advance(2, alive: agents)
        #expect(await ids(farm) == ["small"])
        await agents[0].letGo()
        let warnings = Self.warnings(try await farm.finish(build))
        #expect(warnings.contains { $0.contains("volume large") && $0.contains("by itself") && $0.contains("quota") }, "\(warnings)")
        await farm.end()
    }

    private static func warnings(_ events: [BuildEvent]) -> [String] {
        events.compactMap { if case .warning(let text) = $0.kind { text } else { nil } }
    }

    @Test func `the build whose step finds a volume empty that was removed is told so, and why`() async throws {
        let (farm, agents) = try await farm(["a"], quotas: VolumeQuotas(projects: ["q": 10]))
        try await publish(key("lost"), 10, on: farm)
        #expect(try await collect(farm, "a", ["lost"], bytes: 5, last: true) == ["lost"])
        await agents[0].play("RUN one", .hang)
        let build = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("lost"), Make.cache("new")])])]))
        try await eventually { await agents[0].received.count == 1 }
        let id = try #require(await agents[0].received.first?.id)
        let needs = ["lost", "new"].map { AcquireVolumes.Need(key: key($0), sharing: .shared) }
        _ = try await farm.engine.acquire(AcquireVolumes(assignment: id, lock: "l", needs: needs), from: "a")
        try await farm.engine.release(ReleaseVolumes(lock: "l"), from: "a")
        await agents[0].letGo()
        let warnings = Self.warnings(try await farm.finish(build)).filter { $0.contains("starts empty") }
        #expect(warnings.count == 1, "\(warnings)")
        #expect(warnings.allSatisfy { $0.contains("volume lost") && $0.contains("the disk of a was too full") }, "\(warnings)")
        await farm.end()
    }

    @Test func `a last copy that another agent has room for is copied at once, and goes when that is done`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        try await publish(key("c"), 10, on: farm)
        for agent in agents { try await agent.beat() }
        #expect(try await collect(farm, "a", ["c"], bytes: 5, last: true) == [])
        try await eventually { await orders(agents[1]).map(\.key) == [key("c")] }
        #expect(try await collect(farm, "a", ["c"], bytes: 5, last: true) == [], "it is being copied")
        try await farm.engine.copied(CopyOutcome(key: key("c"), generation: 1, received: 10), from: "b")
        #expect(try await collect(farm, "a", ["c"], bytes: 5, last: false) == ["c"])
        #expect(await farm.engine.volumes().map { $0.holders.map(\.agent) } == [["b"]])
        await farm.end()
    }

    @Test func `a last copy for which no other agent has room, or that nobody copies in time, goes`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        try await publish(key("large"), 1 << 40, on: farm)
        try await publish(key("small"), 10, on: farm)
        for agent in agents { try await agent.beat() }
        #expect(try await collect(farm, "a", ["small", "large"], bytes: 20, last: true) == ["large"])
        var asked = 0
        while await ids(farm) == ["small"], asked < 100 {
            asked += 1
            try await farm.advance(10, alive: agents)
            _ = try await collect(farm, "a", ["small"], bytes: 5, last: true)
        }
        #expect(asked > 3 && asked < 100, "it had time, and not for ever: \(asked)")
        await farm.end()
    }

    @Test func `a disk on which nothing can be written waits for no copy`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        try await publish(key("c"), 10, on: farm)
        for agent in agents { try await agent.beat() }
        let request = CollectVolumes(candidates: [.init(key: key("c"), bytes: 10)], bytes: 5, lastCopies: true, isFull: true)
        #expect(try await farm.engine.collect(request, from: "a").volumes == [key("c")])
        await farm.end()
    }

    private func orders(_ agent: FakeAgent) async -> [CopyOrder] {
        await agent.commands.compactMap { if case .copyVolume(let order) = $0 { order } else { nil } }
    }

    private func dropped(_ agent: FakeAgent) async -> [String] {
        await agent.commands.compactMap { if case .dropVolume(let key, upTo: _) = $0 { key.id } else { nil } }.sorted()
    }

    private func collect(_ farm: EngineFarm, _ agent: String, _ ids: [String], bytes: Int64, last: Bool) async throws -> [String] {
        let candidates = ids.map { CollectVolumes.Candidate(key: key($0), bytes: 10) }
        return try await farm.engine.collect(CollectVolumes(candidates: candidates, bytes: bytes, lastCopies: last), from: agent).volumes
            .map(\.id)
    }

    @Test func `an agent without room gives up first what others have, and the last copy of a head only when asked to`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        for id in ["alone", "both", "newer"] { try await publish(key(id), 10, on: farm) }
        var change = HoldingsChange()
        change.volumes = [HeldVolume(key: key("both"), generation: 1)]
        try await farm.engine.holdingsChanged(change, of: "b")
        try await publish(key("newer"), 10, on: farm, from: "b")
        let all = ["alone", "both", "newer"]
        #expect(try await collect(farm, "a", all, bytes: 1000, last: false) == ["both", "newer"])
        // It does not count any more: so the other may not give up what is the last now.
        #expect(try await collect(farm, "b", ["both", "newer"], bytes: 1000, last: false) == [])
        #expect(await farm.engine.volumes().map { $0.holders.map(\.agent) } == [["a"], ["b"], ["b"]])
        try await farm.engine.drain("b")
        #expect(try await collect(farm, "a", ["alone"], bytes: 1000, last: true) == ["alone"], "b takes nothing any more")
        #expect(await ids(farm) == ["both", "newer"], "nobody has it, so it is no more")
        try await farm.advance(1, alive: agents)
        await farm.end()
    }

    @Test func `the last copy stays while another agent's step brings it, waits for it or has it`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        try await publish(key("c"), 10, on: farm)
        await agents[1].play("RUN one", .hang)
        var options = BuildOptions()
        options.require = ["name": "b"]
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("c")])])]), options: options)
        try await eventually { await agents[1].received.count == 1 }
        let id = try #require(await agents[1].received.first?.id)
        let question = AcquireVolumes(assignment: id, lock: "l", needs: [.init(key: key("c"), sharing: .shared)])
        _ = try await farm.engine.locateVolumes(question, from: "b")
        #expect(try await collect(farm, "a", ["c"], bytes: 5, last: true) == [], "b is bringing it")
        _ = try await farm.engine.acquire(question, from: "b")
        #expect(try await collect(farm, "a", ["c"], bytes: 5, last: true) == [], "b has its lock")
        try await farm.engine.release(ReleaseVolumes(lock: "l"), from: "b")
        try await farm.engine.drain("b")
        #expect(try await collect(farm, "a", ["c"], bytes: 5, last: true) == ["c"])
        await farm.end()
    }

    @Test func `no more is given up than is needed, the longest unused first, and nothing in use`() async throws {
        let (farm, agents) = try await farm(["a"])
        for id in ["c", "b", "a"] { try await publish(key(id), 10, on: farm) }
        await agents[0].play("RUN one", .hang)
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("c")])])]))
        try await eventually { await agents[0].received.count == 1 }
        let id = try #require(await agents[0].received.first?.id)
        let needs = [AcquireVolumes.Need(key: key("c"), sharing: .shared)]
        _ = try await farm.engine.acquire(AcquireVolumes(assignment: id, lock: "l", needs: needs), from: "a")
        #expect(try await collect(farm, "a", ["a", "b", "c"], bytes: 5, last: true) == ["b"])
        #expect(try await collect(farm, "a", ["a", "c"], bytes: 500, last: true) == ["a"])
        await farm.end()
    }

    @Test func `an agent that had to give up volumes is sent no copies for a while`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        #expect(try await collect(farm, "b", [], bytes: 5, last: false) == [])
        try await publish(key("c"), 10, on: farm)
        try await farm.engine.drain("a")
        try await farm.advance(15, alive: agents)
        func orders() async -> Int { await agents[1].commands.count { if case .copyVolume = $0 { true } else { false } } }
        #expect(await orders() == 0)
        try await farm.advance(6, alive: agents)
        try await eventually { await orders() == 1 }
        await farm.end()
    }
}
