import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite(.timeLimit(.minutes(2)))
struct EngineCopyTests {
    let key = VolumeKey(project: "p", id: "c", platform: Make.platform)

    private func publication(_ parent: Int, _ content: String) -> PublishVolume {
        PublishVolume(key: key, digest: Digest.of(content), parent: parent, bytes: 1000, files: 10, deltaBytes: 100)
    }

    private func farm(_ names: [String]) async throws -> (EngineFarm, [FakeAgent]) {
        let farm = try await EngineFarm()
        let agents = names.map { FakeAgent($0, farm.engine, farm.contexts) }
        for agent in agents { try await agent.join() }
        return (farm, agents)
    }

    private func orders(_ agent: FakeAgent) async -> [CopyOrder] {
        await agent.commands.compactMap { if case .copyVolume(let order) = $0 { order } else { nil } }
    }

    @Test func `another agent is told to copy a head, with a grant, and then counts as its holder`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        _ = try await farm.publish(publication(0, "x"), from: "a")
        var alone = await farm.engine.agents().map(\.onlyHere)
        #expect(alone == [1, 0])
        try await farm.advance(6, alive: agents)
        try await eventually { await orders(agents[1]).count == 1 }
        let order = try #require(await orders(agents[1]).first)
        #expect(order.key == key && order.generation == 1)
        #expect(order.holders.map(\.agent) == ["a"])
        #expect(order.holders.first?.grant == "b may fetch volume:p\nc\nlinux/amd64")
        try await farm.engine.copied(CopyOutcome(key: key, generation: 1, received: 77), from: "b")
        let volume = await farm.engine.volumes()[0]
        #expect(volume.copies == 2 && volume.holders.map(\.agent) == ["a", "b"])
        alone = await farm.engine.agents().map(\.onlyHere)
        #expect(alone == [0, 0])
        try await farm.advance(40, alive: agents)
        #expect(await orders(agents[1]).count == 1, "it has it")
        #expect(await orders(agents[0]).isEmpty)
        await farm.end()
    }

    @Test func `draining brings what only that agent has to another at once`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        _ = try await farm.publish(publication(0, "x"), from: "a")
        try await farm.engine.drain("a")
        try await eventually { await orders(agents[1]).count == 1 }
        let before = await farm.engine.agents().map(\.onlyHere)
        #expect(before == [1, 0])
        try await farm.engine.copied(CopyOutcome(key: key, generation: 1, received: 77), from: "b")
        let after = await farm.engine.agents().map(\.onlyHere)
        #expect(after == [0, 1], "a may go now; what b has is only there, for a goes")
        await farm.end()
    }

    @Test func `an agent that comes back without what it had gets copies anew, and a lost order is given again`() async throws {
        let (farm, agents) = try await farm(["a", "b", "c"])
        _ = try await farm.publish(publication(0, "x"), from: "a")
        try await farm.advance(6, alive: agents)
        try await eventually { await orders(agents[1]).count == 1 }
        // b dies before it has answered; its new process has nothing.
        await agents[1].die()
        try await agents[1].join()
        try await farm.advance(1, alive: agents)
        try await eventually {
            let (b, c) = (await orders(agents[1]).count, await orders(agents[2]).count)
            return b + c == 2
        }
        await farm.end()
    }
}
