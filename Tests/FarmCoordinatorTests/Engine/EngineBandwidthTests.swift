import BuildPlan
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite("Bandwidths that agents measure", .timeLimit(.minutes(1))) struct EngineBandwidthTests {
    @Test func `they decide where a stage goes, are shown, and outlive the coordinator`() async throws {
        let farm = try await EngineFarm()
        let agents = ["agent-1", "agent-2"].map { FakeAgent($0, farm.engine, farm.contexts) }
        for agent in agents { try await agent.join() }
        // Imported images come from the coordinator: to the first agent over a slow line.
        for _ in 0..<20 {
            try await agents[0].beat([TransferMeasure(from: nil, bytes: 100_000_000, seconds: 1000)])
            try await agents[1].beat([TransferMeasure(from: nil, bytes: 100_000_000, seconds: 1)])
        }
        farm.contexts.set("large", String(repeating: "x", count: 2_000_000))
        let shown = try await farm.build(Make.plan([Make.stage("main", [Make.copy("large")])]))
        #expect(shown.stages[0].agent == "agent-2")
        let decision = try #require(shown.stages[0].decision)
        #expect(decision.candidates.map(\.agent) == ["agent-2", "agent-1"])
        #expect((10...30).contains(decision.candidates[1].transfer))
        let known = try #require(await farm.engine.agents()[0].receives)
        #expect(known.map(\.from) == [nil] && (90_000...200_000).contains(known[0].bytesPerSecond))
        try await farm.advance(Coordinator.bandwidthInterval + 1, alive: agents)
        try await farm.restart()
        #expect(await farm.engine.agents()[0].receives == known)
        await farm.end()
    }

    @Test func `figures that can't be, and senders that nobody knows, are ignored`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        try await agent.join()
        let many = (0..<1000).map { TransferMeasure(from: "nobody-\($0)", bytes: 1 << 30, seconds: 1) }
        try await agent.beat(many)
        for (bytes, seconds) in [(Int64.min, 1), (1 << 30, -1), (1 << 30, .nan), (1 << 30, .infinity), (.max, 0)] as [(Int64, Double)] {
            try await agent.beat([
                TransferMeasure(from: nil, bytes: bytes, seconds: seconds), TransferMeasure(from: "agent-1", bytes: 1 << 30, seconds: 1),
            ])
        }
        #expect(await farm.engine.agents()[0].receives == nil)
        await farm.end()
    }

    @Test func `who gives slowly is asked last`() async throws {
        let farm = try await EngineFarm()
        let agents = ["agent-1", "agent-2", "agent-3"].map { FakeAgent($0, farm.engine, farm.contexts) }
        for agent in agents { try await agent.join() }
        await agents[2].play("RUN one", .hang)
        for _ in 0..<20 {
            try await agents[2].beat([
                TransferMeasure(from: "agent-1", bytes: 100_000_000, seconds: 100),
                TransferMeasure(from: "agent-2", bytes: 100_000_000, seconds: 1),
            ])
        }
        var change = HoldingsChange()
        change.addedLayers = [FakeImages.base.layers[0]]
        for agent in agents.dropLast() { try await farm.engine.holdingsChanged(change, of: agent.name) }
        var options = BuildOptions()
        options.require = ["name": "agent-3"]
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]), options: options)
        try await eventually { await agents[2].received.count == 1 }
        let assignment = try #require(await agents[2].received.first)
        let found = try await farm.engine.locate(
            LayerQuery(purpose: assignment.id, layers: [FakeImages.base.layers[0].diffID]), from: "agent-3")
        #expect(found.locations[0].holders.map(\.agent) == ["agent-2", "agent-1"])
        await agents[2].letGo()
        _ = try await farm.finish(id)
        await farm.end()
    }
}
