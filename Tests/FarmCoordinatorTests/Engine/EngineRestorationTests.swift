import BuildPlan
import Digests
import FarmAPI
import Store
import Testing

@testable import FarmCoordinator

/// What agents have may be newer than a coordinator that was restored from a backup.
@Suite("A restored coordinator", .timeLimit(.minutes(1))) struct EngineRestorationTests {
    private let key = VolumeKey(project: "p", id: "c", platform: Make.platform)

    private func publication(_ parent: Int, _ content: String) -> PublishVolume {
        PublishVolume(key: key, digest: Digest.of(content), parent: parent, bytes: 1000, files: 10, deltaBytes: 100)
    }

    private func publish(_ farm: EngineFarm, _ parent: Int, _ content: String, from agent: String) async throws -> Int {
        guard case .accepted(let generation) = try await farm.publish(publication(parent, content), from: agent) else {
            Issue.record("generation upon \(parent) was not accepted")
            throw CancellationError()
        }
        return generation
    }

    /// The farm at generation 2 is saved; it goes on to generation 4, and is restored.
    private func restored(_ names: [String]) async throws -> (EngineFarm, [FakeAgent]) {
        let farm = try await EngineFarm()
        let agents = names.map { FakeAgent($0, farm.engine, farm.contexts) }
        for agent in agents { try await agent.join() }
        for generation in 0..<2 { _ = try await publish(farm, generation, "g\(generation)", from: names[0]) }
        let copy = farm.path + ".copy"
        try StoreCopy.write(of: farm.path, to: copy, now: Timestamp(seconds: 60_000))
        for generation in 2..<4 { _ = try await publish(farm, generation, "g\(generation)", from: names[0]) }
        try await farm.restore(copy)
        for agent in agents {
            await agent.die()
            await agent.move(to: farm.engine)
        }
        return (farm, agents)
    }

    @Test func `newer generations on agents are the head, and the next one's number was never given before`() async throws {
        let (farm, agents) = try await restored(["a"])
        try await agents[0].join(volumes: [HeldVolume(key: key, generation: 4)])
        let shown = await farm.engine.volumes()
        #expect(shown.map(\.generation) == [4])
        #expect(shown[0].holders.map(\.generation) == [4])
        #expect(await agents[0].commands.allSatisfy { if case .dropVolume = $0 { false } else { true } })
        #expect(try await publish(farm, 4, "g4", from: "a") > Restoration.leastGap)
        await farm.end()
    }

    @Test func `an agent that was away has an old generation, never a new one that took its number`() async throws {
        let (farm, agents) = try await restored(["a", "b"])
        // The one that had generation 4 is away; the other goes on from what the backup knows.
        try await agents[1].join(volumes: [HeldVolume(key: key, generation: 2)])
        let next = try await publish(farm, 2, "other", from: "b")
        #expect(next > Restoration.leastGap)
        // Now it is back: what it calls 4 is older than the head, and is told as what it is.
        try await agents[0].join(volumes: [HeldVolume(key: key, generation: 4)])
        let shown = await farm.engine.volumes()
        #expect(shown.map(\.generation) == [next])
        #expect(Dictionary(uniqueKeysWithValues: shown[0].holders.map { ($0.agent, $0.generation) }) == ["a": 4, "b": next])
        // It can't publish upon it; it has to bring the head first.
        guard case .behind(head: next, _) = try await farm.publish(publication(4, "lost"), from: "a") else {
            Issue.record("published upon a part of the history that is lost")
            return
        }
        await farm.end()
    }

    @Test func `a volume that the backup does not know is found, one that is removed stays so`() async throws {
        let (farm, agents) = try await restored(["a", "b"])
        let new = VolumeKey(project: "p", id: "new", platform: Make.platform)
        try await agents[0].join(volumes: [HeldVolume(key: new, generation: 3)])
        #expect(await farm.engine.volumes().contains { $0.id == "new" && $0.generation == 3 })
        try await farm.engine.removeVolume(project: "p", id: "c")
        // An agent that was away brings what was removed: it is of what was removed.
        try await agents[1].join(volumes: [HeldVolume(key: key, generation: 4)])
        #expect(await farm.engine.volumes().allSatisfy { $0.id != "c" })
        try await eventually {
            await agents[1].commands.contains { if case .dropVolume(let dropped, upTo: _) = $0 { dropped == key } else { false } }
        }
        await farm.end()
    }

    @Test func `a database that was brought back by other means is seen to be old, and gives no number twice`() {
        var ledger = VolumeLedger(volumes: [StoredVolume(key: key)])
        guard case .accepted = ledger.publish(publication(0, "x"), at: .epoch) else {
            Issue.record("not accepted")
            return
        }
        let found = ledger.adopt(HeldVolume(key: key, generation: 7))
        #expect(found?.volume.head == 7)
        #expect(found?.floor == 7 + Restoration.leastGap)
        guard case .accepted(let next) = ledger.publish(publication(7, "y"), at: .epoch) else {
            Issue.record("not accepted")
            return
        }
        #expect(next.head == 7 + Restoration.leastGap + 1)
        // What nobody can have numbered, and what nobody here knows in a farm that was never restored.
        #expect(ledger.adopt(HeldVolume(key: key, generation: .max)) == nil)
        var fresh = VolumeLedger()
        #expect(fresh.adopt(HeldVolume(key: key, generation: 3)) == nil)
    }

    @Test func `who has seen more of a build than there is hears why`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("a", farm.engine, farm.contexts)
        try await agent.join()
        let shown = try await farm.build(Make.plan([Make.stage("main", [Make.run("one")])]))
        let last = try await farm.finish(shown.id).last?.sequence ?? 0
        _ = try await farm.engine.events(of: shown.id, after: last)
        await #expect { try await farm.engine.events(of: shown.id, after: last + 1) } throws: {
            if case EngineError.conflict(let text) = $0 { text.contains("backup") } else { false }
        }
        await farm.end()
    }

    @Test func `a build that was under way is told as failed, and its agent to stop`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("a", farm.engine, farm.contexts)
        await agent.play("RUN one", .hang)
        try await agent.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        try await eventually { await agent.received.count == 1 }
        let copy = farm.path + ".copy"
        try StoreCopy.write(of: farm.path, to: copy, now: Timestamp(seconds: 60_000))
        try await farm.restore(copy)
        await agent.move(to: farm.engine)
        try await agent.join()
        let assignment = try #require(await agent.received.first?.id)
        try await eventually { await agent.cancelled.contains(assignment) }
        let events = try await farm.finish(id)
        guard case .finished(status: .failed, let failure, _, _) = events.last?.kind else {
            Issue.record("\(events)")
            return
        }
        #expect(failure?.message.contains("submit it again") == true)
        await agent.letGo()
        // Submitted again it is done.
        await agent.play("RUN one", .succeed)
        let again = try await farm.build(Make.plan([Make.stage("main", [Make.run("one")])]))
        #expect(again.status == .succeeded)
        await farm.end()
    }
}
