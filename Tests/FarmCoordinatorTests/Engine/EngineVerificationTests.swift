import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite(.timeLimit(.minutes(2)))
struct EngineVerificationTests {
    private func key(_ id: String) -> VolumeKey { VolumeKey(project: "p", id: id, platform: Make.platform) }

    private func farm(_ names: [String]) async throws -> (EngineFarm, [FakeAgent]) {
        let farm = try await EngineFarm()
        let agents = names.map { FakeAgent($0, farm.engine, farm.contexts) }
        for agent in agents { try await agent.join() }
        for id in ["c", "d"] {
            _ = try await farm.publish(
                PublishVolume(key: key(id), digest: Digest.of(id), parent: 0, bytes: 1, files: 1, deltaBytes: 1), from: names[0])
        }
        return (farm, agents)
    }

    private var held: [HeldVolume] { ["c", "d"].map { HeldVolume(key: key($0), generation: 1) } }

    private func orders(_ agent: FakeAgent) async -> [VerifyOrder] {
        await agent.commands.compactMap { if case .verifyVolume(let order) = $0 { order } else { nil } }
    }

    private func report(_ order: VerifyOrder, _ outcome: VolumeVerification.Outcome, left: Int = 1) -> VerifyReport {
        VerifyReport(id: order.id, generation: 1, left: left, files: 3, bytes: 4, damage: [], outcome: outcome)
    }

    @Test func `every holder is asked, and the findings end when all have answered`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        var change = HoldingsChange()
        change.volumes = [HeldVolume(key: key("c"), generation: 1)]
        try await farm.engine.holdingsChanged(change, of: "b")
        let stream = try await farm.engine.verify(project: "p", id: "c")
        try await eventually { await orders(agents[0]).count == 1 }
        try await eventually { await orders(agents[1]).count == 1 }
        let first = try #require(await orders(agents[0]).first)
        #expect(first.key == key("c") && first.head == 1 && first.holders.map(\.agent) == ["b"])
        try await farm.engine.verified(report(first, .sound), from: "b")
        try await farm.engine.verified(report(first, .sound), from: "a")
        try await farm.engine.verified(report(try #require(await orders(agents[1]).first), .repaired), from: "b")
        var rows: [VolumeVerification] = []
        for await row in stream { rows.append(row) }
        #expect(rows.map(\.agent) == ["a", "b"], "what b said in a's name counts for nothing")
        #expect(rows.map(\.outcome) == [.sound, .repaired])
        let left = await farm.engine.verifications.count
        #expect(left == 0)
        await #expect(throws: EngineError.self) { _ = try await farm.engine.verify(project: "p", id: "none") }
        await #expect(throws: EngineError.self) { _ = try await farm.engine.verify(project: "none", id: nil) }
        await farm.end()
    }

    @Test func `what was damaged and nobody else has is no more`() async throws {
        let (farm, agents) = try await farm(["a"])
        let stream = try await farm.engine.verify(project: nil, id: nil)
        try await eventually { await orders(agents[0]).count == 2 }
        for order in await orders(agents[0]) {
            try await farm.engine.verified(
                report(order, order.key.id == "c" ? .dropped : .sound, left: order.key.id == "c" ? 0 : 1), from: "a")
        }
        var lost = 0
        for await row in stream where row.isLoss { lost += 1 }
        #expect(lost == 1)
        let left = await farm.engine.volumes().map(\.id)
        #expect(left == ["d"])
        await farm.end()
    }

    @Test func `an agent that is restarted before it answers is told as such at once`() async throws {
        let (farm, agents) = try await farm(["a"])
        let stream = try await farm.engine.verify(project: "p", id: "c")
        try await eventually { await orders(agents[0]).count == 1 }
        // Quicker than any tick.
        await agents[0].die()
        try await agents[0].join(volumes: held)
        var rows: [VolumeVerification] = []
        for await row in stream { rows.append(row) }
        #expect(rows.map(\.outcome) == [.unverified])
        #expect(rows.first?.error?.contains("restarted") == true)
        await farm.end()
    }

    @Test func `an agent that only lost its connection gets the order again, and its answer counts`() async throws {
        let (farm, agents) = try await farm(["a"])
        let stream = try await farm.engine.verify(project: "p", id: "c")
        try await eventually { await orders(agents[0]).count == 1 }
        await agents[0].lose()
        try await farm.advance(1, alive: [])
        try await agents[0].join(volumes: held)
        try await eventually { await orders(agents[0]).count == 2 }
        let both = await orders(agents[0])
        #expect(both[0].id == both[1].id)
        try await farm.engine.verified(report(both[0], .sound), from: "a")
        var rows: [VolumeVerification] = []
        for await row in stream { rows.append(row) }
        #expect(rows.map(\.outcome) == [.sound])
        await farm.end()
    }

    @Test func `agents stop when nobody waits for their findings any more`() async throws {
        let (farm, agents) = try await farm(["a"])
        do {
            let stream = try await farm.engine.verify(project: "p", id: "c")
            try await eventually { await orders(agents[0]).count == 1 }
            _ = stream
        }
        let id = try #require(await orders(agents[0]).first?.id)
        try await eventually {
            try await farm.advance(1, alive: agents)
            return await agents[0].commands.contains { if case .cancelVerify(id) = $0 { true } else { false } }
        }
        await farm.end()
    }

    @Test func `an agent that is lost meanwhile is told as such, and nobody waits for ever`() async throws {
        let (farm, agents) = try await farm(["a", "b"])
        let stream = try await farm.engine.verify(project: "p", id: "c")
        try await eventually { await orders(agents[0]).count == 1 }
        await agents[0].die()
        try await farm.advance(farm.settings.lease + 2, alive: [agents[1]])
        var rows: [VolumeVerification] = []
        for await row in stream { rows.append(row) }
        #expect(rows.map(\.outcome) == [.unverified])
        #expect(rows.first?.error?.contains("lost") == true)
        // One that is lost already is not waited for at all.
        rows = []
        for await row in try await farm.engine.verify(project: "p", id: "d") { rows.append(row) }
        #expect(rows.map(\.outcome) == [.unverified])
        await farm.end()
    }
}
