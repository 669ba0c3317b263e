import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite("Why stages are where they are", .timeLimit(.minutes(1))) struct EngineDecisionTests {
    @Test func `a placement is stored with all that was compared`() async throws {
        let farm = try await EngineFarm()
        let names = ["agent-1", "agent-2"]
        for name in names { try await FakeAgent(name, farm.engine, farm.contexts).join() }
        // What only one of them has would have to be brought to the other.
        let layer = FakeImages.base.layers[0]
        var change = HoldingsChange()
        change.addedLayers = [layer]
        try await farm.engine.holdingsChanged(change, of: "agent-2")
        let shown = try await farm.build(Make.plan([Make.stage("main", [Make.run("one")])]))
        let decision = try #require(shown.stages[0].decision)
        #expect(decision.outcome == .placed && decision.agent == "agent-2" && decision.compared == 2)
        #expect(decision.candidates.map(\.agent) == ["agent-2", "agent-1"])
        #expect(decision.candidates.map(\.bytes.layers) == [0, layer.size])
        #expect(decision.candidates[0].sum <= decision.candidates[1].sum)
        for candidate in decision.candidates {
            let sum = candidate.queue + candidate.transfer + candidate.run + candidate.adjustment
            #expect(abs(candidate.sum - sum) < 0.01)
        }
        #expect(decision.usual == nil)
        // As after SIGKILL it is still there, and the next build knows how long the stage took.
        try await farm.restart()
        #expect(try await farm.engine.describe(shown.id).stages[0].decision == decision)
        await farm.end()
    }

    @Test func `a stage that waits for a busy agent says for whom and against what`() async throws {
        let farm = try await EngineFarm()
        let warm = FakeAgent("agent-1", farm.engine, farm.contexts)
        await warm.play("RUN long", .hang)
        try await warm.join(slots: 1)
        // Long enough that another agent would be much later: a layer of a terabyte.
        var change = HoldingsChange()
        change.addedLayers = [LayerDescriptor(diffID: FakeImages.base.layers[0].diffID, size: 1000)]
        try await farm.engine.holdingsChanged(change, of: "agent-1")
        let busy = try await farm.submit(Make.plan([Make.stage("main", [Make.run("long")])]))
        try await eventually { try await farm.engine.describe(busy).stages.first?.status == .running }
        let cold = FakeAgent("agent-2", farm.engine, farm.contexts)
        try await cold.join(slots: 1, labels: ["zone": "b"])
        var options = BuildOptions()
        options.require = ["name": "agent-1"]
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("two")])]), options: options)
        try await eventually { try await farm.engine.describe(id).stages.first?.decision?.outcome == .waiting }
        let decision = try #require(try await farm.engine.describe(id).stages[0].decision)
        #expect(decision.agent == "agent-1" && decision.compared == 1)
        #expect(decision.candidates[0].queue > 0)
        await warm.letGo()
        _ = try await farm.finish(id)
        #expect(try await farm.engine.describe(id).stages[0].decision?.outcome == .placed)
        await farm.end()
    }

    @Test func `a stage that no agent can take says what keeps each of them`() async throws {
        let farm = try await EngineFarm()
        for name in ["agent-1", "agent-2"] { try await FakeAgent(name, farm.engine, farm.contexts).join(labels: ["disk": name]) }
        try await farm.engine.drain("agent-2")
        var options = BuildOptions()
        options.require = ["disk": "agent-2"]
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]), options: options)
        try await eventually { try await farm.engine.describe(id).stages.first?.decision?.outcome == .unplaceable }
        let decision = try #require(try await farm.engine.describe(id).stages[0].decision)
        #expect(decision.reason == "agent-2 is draining")
        #expect(
            decision.objections == [
                .init(agent: "agent-1", reason: "it has not the label disk=agent-2"), .init(agent: "agent-2", reason: "it is draining"),
            ])
        await farm.end()
    }

    @Test func `a stage that waits for any slot says that it waits for its turn`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        for step in ["RUN a", "RUN b"] { await agent.play(step, .hang) }
        try await agent.join(slots: 1)
        let first = try await farm.submit(Make.plan([Make.stage("main", [Make.run("a")])]))
        try await eventually { try await farm.engine.describe(first).stages.first?.status == .running }
        let second = try await farm.submit(Make.plan([Make.stage("main", [Make.run("b")])]))
        try await eventually { try await farm.engine.describe(second).stages.first?.placement?.hasPrefix("waits for its turn") ?? false }
        await agent.letGo()
        _ = try await farm.finish(second)
        await farm.end()
    }
}
