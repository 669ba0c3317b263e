import BuildPlan
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite("Agents that are set aside", .timeLimit(.minutes(1))) struct EngineTroubleTests {
    private static let labels = ["disk": "fast"]

    /// Builds whose first choice is the agent with the label's layers, and that it can't run.
    private func farm(_ play: FakeAgent.Play = .unable) async throws -> (EngineFarm, bad: FakeAgent, good: FakeAgent) {
        let farm = try await EngineFarm()
        let bad = FakeAgent("agent-1", farm.engine, farm.contexts)
        let good = FakeAgent("agent-2", farm.engine, farm.contexts)
        for step in ["RUN a", "RUN b", "RUN c", "RUN d"] { await bad.play(step, play) }
        try await bad.join(slots: 4, labels: Self.labels)
        try await good.join(slots: 4)
        // What draws stages there.
        var change = HoldingsChange()
        change.addedLayers = [LayerDescriptor(diffID: FakeImages.base.layers[0].diffID, size: 1000)]
        try await farm.engine.holdingsChanged(change, of: "agent-1")
        return (farm, bad, good)
    }

    private func build(_ farm: EngineFarm, _ name: String) async throws -> BuildDescription {
        try await farm.build(Make.plan([Make.stage(name, [Make.run(name)])]))
    }

    private func state(_ farm: EngineFarm, _ name: String = "agent-1") async throws -> AgentDescription {
        try #require(await farm.engine.agents().first { $0.name == name })
    }

    @Test func `an agent that can't run stages gets none for a while, is tried with one, and is back when that went well`() async throws {
        let (farm, bad, good) = try await farm()
        for name in ["a", "b", "c"] {
            let shown = try await build(farm, name)
            #expect(shown.status == .succeeded && shown.stages[0].agent == "agent-2")
        }
        let aside = try await state(farm)
        #expect(aside.state == .setAside)
        #expect(aside.setAside?.reason == "3 failures within 10 min, the last: its disk is full")
        let before = await bad.received.count
        let shown = try await build(farm, "d")
        #expect(shown.stages[0].agent == "agent-2" && shown.stages[0].attempts == 1)
        #expect(await bad.received.count == before)
        // A coordinator that is killed remembers it.
        try await farm.restart()
        for agent in [bad, good] {
            await agent.move(to: farm.engine)
            try await agent.join(slots: 4, labels: agent.name == "agent-1" ? Self.labels : [:])
        }
        #expect(try await state(farm).state == .setAside)
        try await farm.advance(farm.settings.troubles.pause + 1, alive: [bad, good])
        #expect(try await state(farm).state == .ready)
        #expect(try await state(farm).setAside?.isOnTrial == true)
        await bad.play("RUN e", .hang)
        await bad.play("RUN f", .hang)
        var options = BuildOptions()
        options.require = Self.labels
        // One at a time.
        let first = try await farm.submit(Make.plan([Make.stage("e", [Make.run("e")])]), options: options)
        try await eventually { try await farm.engine.describe(first).stages.first?.status == .running }
        let second = try await farm.submit(Make.plan([Make.stage("f", [Make.run("f")])]), options: options)
        try await eventually { try await farm.engine.describe(second).stages.first?.placement != nil }
        #expect(try await farm.engine.describe(second).stages[0].status == .queued)
        await bad.letGo()
        _ = try await farm.finish(second)
        #expect(try await state(farm).setAside == nil)
        await farm.end()
    }

    @Test func `resume gives it stages at once`() async throws {
        let (farm, bad, _) = try await farm()
        for name in ["a", "b", "c"] { _ = try await build(farm, name) }
        #expect(try await state(farm).state == .setAside)
        try await farm.engine.resume("agent-1")
        let resumed = try await state(farm)
        #expect(resumed.state == .ready && resumed.setAside == nil)
        #expect(try await build(farm, "x").stages[0].agent == "agent-1")
        #expect(await bad.ran.contains("RUN x"))
        await farm.end()
    }

    @Test func `a build that no agent can run sets nobody aside, however often it is submitted`() async throws {
        let farm = try await EngineFarm()
        for name in ["agent-1", "agent-2", "agent-3"] {
            let agent = FakeAgent(name, farm.engine, farm.contexts)
            await agent.play("RUN broken", .unable)
            try await agent.join()
        }
        for _ in 0..<5 { #expect(try await build(farm, "broken").status == .failed) }
        for agent in await farm.engine.agents() { #expect(agent.state == .ready && agent.setAside == nil) }
        await farm.end()
    }

    @Test func `the last agent of a platform is never set aside`() async throws {
        let (farm, _, _) = try await farm()
        try await farm.engine.drain("agent-2")
        for name in ["a", "b", "c", "d"] { #expect(try await build(farm, name).status == .failed) }
        #expect(try await state(farm).state == .ready)
        await farm.end()
    }

    @Test func `a stage that only an agent can take that is set aside is tried there at once`() async throws {
        let (farm, bad, _) = try await farm()
        for name in ["a", "b", "c"] { _ = try await build(farm, name) }
        #expect(try await state(farm).state == .setAside)
        var options = BuildOptions()
        options.require = Self.labels
        let shown = try await farm.build(Make.plan([Make.stage("main", [Make.run("well")])]), options: options)
        #expect(shown.status == .succeeded && shown.stages[0].agent == "agent-1")
        #expect(await bad.ran.contains("RUN well"))
        #expect(try await state(farm).setAside == nil)
        await farm.end()
    }

    @Test func `an agent that is lost again and again with what it runs is set aside`() async throws {
        let (farm, bad, good) = try await farm(.hang)
        for name in ["a", "b", "c"] {
            let id = try await farm.submit(Make.plan([Make.stage(name, [Make.run(name)])]))
            try await eventually { try await farm.engine.describe(id).stages.first?.agent == "agent-1" }
            await bad.die()
            try await farm.advance(farm.settings.lease + 2, alive: [good])
            _ = try await farm.finish(id)
            try await bad.join(slots: 4, labels: Self.labels)
        }
        let aside = try await state(farm)
        #expect(aside.state == .setAside)
        #expect(aside.setAside?.reason == "3 failures within 10 min, the last: it was lost with 1 stage")
        await farm.end()
    }

    @Test func `all agents lost at once is nobody's fault`() async throws {
        let farm = try await EngineFarm()
        var agents: [FakeAgent] = []
        for name in ["agent-1", "agent-2", "agent-3"] {
            let agent = FakeAgent(name, farm.engine, farm.contexts)
            await agent.play("RUN long", .hang)
            try await agent.join()
            agents.append(agent)
        }
        for _ in 0..<4 {
            _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("long")])]))
            try await eventually { await farm.engine.agents().contains { $0.running > 0 } }
            try await farm.advance(farm.settings.lease + 2, alive: [])
            for agent in agents { try await agent.join() }
        }
        for agent in await farm.engine.agents() { #expect(agent.setAside == nil) }
        await farm.end()
    }
}
