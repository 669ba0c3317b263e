import BuildPlan
import Digests
import FarmAPI
import GRDB
import Testing

@testable import FarmCoordinator

/// Clocks that jump and disks that are full.
@Suite("What the machine does to the engine", .timeLimit(.minutes(1))) struct EngineRememberingTests {
    private static let year = 365 * 86_400.0

    private func plan(_ step: String) -> Plan { Make.plan([Make.stage("main", [Make.run(step)])]) }

    @Test(arguments: [year, -86_400.0]) func `a wall clock that jumps ends no lease and loses no build`(jump: Double) async throws {
        var settings = EngineSettings()
        settings.retentionInterval = 5
        let farm = try await EngineFarm(settings: settings)
        let agent = FakeAgent("a", farm.engine, farm.contexts)
        try await agent.join()
        let ended = try await farm.build(plan("before")).id
        await agent.play("RUN long", .hang)
        let open = try await farm.submit(plan("long"))
        try await eventually { try await farm.engine.describe(open).stages.first?.steps[0].status == .running }
        farm.clock.setWall(forward: jump)
        try await farm.advance(60, alive: [agent])
        #expect(try await farm.engine.builds(limit: 10).map(\.id).sorted() == [ended, open].sorted())
        #expect(await farm.engine.agents().map(\.state) == [.ready])
        // A coordinator that is started with such a clock has not seen it jump, but remembers what it was.
        try await farm.restart()
        await agent.move(to: farm.engine)
        try await agent.join()
        try await farm.advance(60, alive: [agent])
        #expect(try await farm.engine.builds(limit: 10).count == 2)
        await agent.letGo()
        _ = try await farm.finish(open)
        let shown = try await farm.engine.describe(open)
        #expect(shown.status == .succeeded)
        #expect(shown.stages[0].attempts == 1)
        await farm.end()
    }

    @Test func `a restart with a clock that is a year ahead removes nothing`() async throws {
        var settings = EngineSettings()
        settings.retentionInterval = 5
        let farm = try await EngineFarm(settings: settings)
        let agent = FakeAgent("a", farm.engine, farm.contexts)
        try await agent.join()
        let ended = try await farm.build(plan("before")).id
        try await farm.advance(10, alive: [agent])
        farm.clock.setWall(forward: Self.year)
        try await farm.restart()
        await agent.move(to: farm.engine)
        try await agent.join()
        try await farm.advance(60, alive: [agent])
        #expect(try await farm.engine.builds(limit: 10).map(\.id) == [ended])
        await farm.end()
    }

    @Test func `a clock that stays where it was put is believed after a day`() async throws {
        var settings = EngineSettings()
        settings.retentionInterval = 5
        settings.clockDistrust = 100
        let farm = try await EngineFarm(settings: settings)
        let agent = FakeAgent("a", farm.engine, farm.contexts)
        try await agent.join()
        _ = try await farm.build(plan("before"))
        try await farm.advance(10, alive: [agent])
        farm.clock.setWall(forward: Self.year)
        try await farm.advance(50, alive: [agent])
        #expect(try await farm.engine.builds(limit: 10).count == 1)
        try await farm.advance(120, alive: [agent])
        try await eventually { try await farm.engine.builds(limit: 10).isEmpty }
        await farm.end()
    }

    @Test func `who submits while nothing can be written hears so at once, and the same request is one build later`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("a", farm.engine, farm.contexts)
        try await agent.join()
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        configuration.busyMode = .timeout(5)
        let other = try DatabaseQueue(path: farm.path, configuration: configuration)
        try await other.writeWithoutTransaction { db in try db.execute(sql: "BEGIN IMMEDIATE") }
        let request = try Make.request(plan("one"))
        // The first finds out, the second is told by the first's experience.
        for _ in 0..<2 {
            await #expect { try await farm.engine.submit(request, user: "u") } throws: {
                if case EngineError.unavailable(let text) = $0 { text.contains("free some space") } else { false }
            }
        }
        try await other.writeWithoutTransaction { db in try db.execute(sql: "ROLLBACK") }
        try other.close()
        var id = ""
        try await eventually {
            id = (try? await farm.engine.submit(request, user: "u").build) ?? ""
            return !id.isEmpty
        }
        _ = try await farm.finish(id)
        let builds = try await farm.engine.builds(limit: 10)
        #expect(builds.map(\.id) == [id])
        #expect(builds.map(\.status) == [.succeeded])
        await farm.end()
    }

    @Test func `what an open build may read is held from its first moment, also after a restart`() async throws {
        let farm = try await EngineFarm()
        let whole = TreeSelection(source: .context, path: "", wildcards: false)
        let id = try await farm.submit(plan("one"))
        #expect(farm.contexts.state.withLock { $0.holds.first { $0.build == id }?.selections } == [whole])
        farm.contexts.state.withLock { $0.holds = [] }
        try await farm.restart()
        #expect(farm.contexts.state.withLock { $0.holds.first { $0.build == id }?.selections } == [whole])
        await farm.end()
    }
}
