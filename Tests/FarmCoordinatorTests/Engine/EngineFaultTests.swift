import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

extension EngineSettings {
    /// The first attempt that fails is the last.
    static var once: EngineSettings {
        var settings = EngineSettings()
        settings.maximumAttempts = 1
        return settings
    }
}

@Suite("Loss and restart", .timeLimit(.minutes(1))) struct EngineFaultTests {
    @Test func `a lost agent's stage goes on elsewhere, without the steps that another holds`() async throws {
        let farm = try await EngineFarm()
        let first = FakeAgent("agent-1", farm.engine, farm.contexts)
        let second = FakeAgent("agent-2", farm.engine, farm.contexts)
        await first.play("RUN two", .hang)
        try await first.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one"), Make.run("two")])]))
        try await eventually { try await farm.engine.describe(id).stages.first?.steps[1].status == .running }
        try await second.join()
        // The second has brought the first's layer meanwhile, as for another build.
        var change = HoldingsChange()
        change.addedLayers = [LayerDescriptor(diffID: await first.lastLayer(), size: 100)]
        try await farm.engine.holdingsChanged(change, of: "agent-2")
        await first.die()
        try await farm.advance(farm.settings.lease + 2, alive: [second])
        let events = try await farm.finish(id)
        #expect(events.contains { if case .stageRetried(0, "agent-1 is lost") = $0.kind { true } else { false } })
        let shown = try await farm.engine.describe(id)
        #expect(shown.status == .succeeded)
        #expect(shown.stages[0].agent == "agent-2")
        #expect(shown.stages[0].attempts == 2)
        let ran = await second.ran
        #expect(ran == ["RUN two"])
        await farm.end()
    }

    @Test func `an agent that comes back after its lease is told to cancel, and what it made is kept`() async throws {
        let farm = try await EngineFarm()
        let first = FakeAgent("agent-1", farm.engine, farm.contexts)
        let second = FakeAgent("agent-2", farm.engine, farm.contexts)
        await first.play("RUN one", .hang)
        await second.play("RUN one", .hang)
        try await first.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        try await eventually { await first.received.count == 1 }
        try await second.join()
        // Its last reports may still renew the lease for a moment.
        while await second.received.isEmpty {
            try await farm.advance(2, alive: [second])
            // What it was given reaches it in real time: held time must not run through the new lease meanwhile.
            try await Task.sleep(for: .milliseconds(20))
        }
        let old = try #require(await first.received.first)
        try await first.join()
        try await eventually { await first.cancelled.contains(old.id) }
        await second.letGo()
        _ = try await farm.finish(id)
        let shown = try await farm.engine.describe(id)
        #expect(shown.status == .succeeded)
        #expect(shown.stages[0].agent == "agent-2")
        await farm.end()
    }

    @Test func `an agent that was restarted loses its stages at once`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        await agent.play("RUN one", .hang)
        try await agent.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        try await eventually { await agent.received.count == 1 }
        await agent.die()
        await agent.letGo()
        try await agent.join()
        let events = try await farm.finish(id)
        #expect(events.contains { if case .stageRetried(0, "agent-1 was restarted") = $0.kind { true } else { false } })
        let status = try await farm.engine.describe(id).status
        #expect(status == .succeeded)
        await farm.end()
    }

    @Test func `a coordinator that has ended acknowledges no report, and the next one gets it`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        await agent.play("RUN one", .hang)
        try await agent.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one"), Make.run("two")])]))
        try await eventually { try await farm.engine.describe(id).stages.first?.steps[0].status == .running }
        let ended = farm.engine
        try await farm.restart()
        // It goes on while the coordinator is away, and reports to what is left of it.
        let heard = await agent.answered
        await agent.letGo()
        try await eventually { await agent.refused > 0 }
        await ended.tick()
        #expect(await agent.answered == heard)
        await agent.move(to: farm.engine)
        try await agent.join()
        _ = try await farm.finish(id)
        let shown = try await farm.engine.describe(id)
        #expect(shown.status == .succeeded && shown.stages[0].attempts == 1, "\(shown.error ?? "")")
        #expect(await agent.ran == ["RUN one", "RUN two"])
        await farm.end()
    }

    @Test func `an agent that comes back without what it was given gets it again at once, and that is no failed attempt`() async throws {
        let farm = try await EngineFarm(settings: .once)
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        await agent.play("RUN one", .hang)
        try await agent.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        try await eventually { await agent.received.count == 1 }
        await agent.lose()
        await agent.letGo()
        // As after a restart of the coordinator between the decision and the sending: no lease passes.
        try await farm.restart()
        await agent.move(to: farm.engine)
        try await agent.join()
        let events = try await farm.finish(id)
        #expect(events.contains { if case .stageRetried(0, "agent-1 did not get it") = $0.kind { true } else { false } })
        let shown = try await farm.engine.describe(id)
        #expect(shown.status == .succeeded, "\(shown.error ?? "")")
        await farm.end()
    }

    @Test func `a stage that its agent never gets is excused a few times, and then goes elsewhere`() async throws {
        try await neverDelivered(others: 1)
    }

    @Test func `a stage that nobody gets fails in the end, and says why`() async throws { try await neverDelivered(others: 0) }

    /// The way to the first agent breaks each time before what it is given arrives.
    private func neverDelivered(others: Int) async throws {
        let farm = try await EngineFarm()
        let deaf = FakeAgent("agent-1", farm.engine, farm.contexts)
        let well = FakeAgent("agent-2", farm.engine, farm.contexts)
        await deaf.play("RUN one", .hang)
        try await deaf.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        try await eventually { await deaf.received.count == 1 }
        if others > 0 { try await well.join(slots: 1) }
        for number in 1... {
            await deaf.lose()
            try await deaf.join()
            // Given to it again, or not any more.
            try await eventually {
                let shown = try await farm.engine.describe(id)
                let received = await deaf.received.count
                return received > number || shown.status.isFinal || shown.stages[0].agent == "agent-2"
            }
            if await deaf.received.count == number { break }
            try #require(number < 20, "it is given to the same agent without end")
        }
        let events = try await farm.finish(id)
        let shown = try await farm.engine.describe(id)
        let given = await deaf.received.count
        #expect(events.count { if case .stageRetried = $0.kind { true } else { false } } >= Coordinator.undeliveredLimit)
        if others > 0 {
            #expect(shown.status == .succeeded && shown.stages[0].agent == "agent-2", "\(shown.error ?? "")")
            #expect(given == Coordinator.undeliveredLimit + 1)
        } else {
            #expect(shown.status == .failed)
            #expect(shown.error?.contains("agent-1") == true, "\(shown.error ?? "")")
        }
        await farm.end()
    }

    @Test func `a coordinator that was killed goes on with what still runs, and misses no event`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        await agent.play("RUN two", .hang)
        try await agent.join()
        let id = try await farm.submit(
            Make.plan([
                Make.stage("x", [Make.run("one"), Make.run("two")]),
                Make.stage("main", [Make.run("three"), Make.copy("o", from: .stage(0))]),
            ]))
        try await eventually { try await farm.engine.describe(id).stages.first?.steps[1].status == .running }
        try await farm.restart()
        let shown = try await farm.engine.describe(id)
        #expect(shown.status == .running)
        #expect(shown.stages[0].steps[0].status == .succeeded)
        let engine = farm.engine
        await agent.move(to: engine)
        try await agent.join()
        await agent.letGo()
        let events = try await farm.finish(id)
        #expect(events.map(\.sequence) == Array(1...events.count))
        let after = try await farm.engine.describe(id)
        #expect(after.status == .succeeded, "\(after.error ?? "")")
        #expect(after.stages[0].attempts == 1)
        let ran = await agent.ran
        #expect(ran.filter { $0 == "RUN one" }.count == 1)
        #expect(ran.filter { $0 == "RUN two" }.count == 1)
        await farm.end()
    }

    @Test func `a coordinator that was killed gives away what nobody runs any more`() async throws {
        let farm = try await EngineFarm()
        let first = FakeAgent("agent-1", farm.engine, farm.contexts)
        await first.play("RUN one", .hang)
        try await first.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        try await eventually { await first.received.count == 1 }
        await first.die()
        try await farm.restart()
        let second = FakeAgent("agent-2", farm.engine, farm.contexts)
        try await second.join()
        let early = await second.received.count
        #expect(early == 0)
        try await farm.advance(farm.settings.lease + 2, alive: [second])
        _ = try await farm.finish(id)
        let shown = try await farm.engine.describe(id)
        #expect(shown.status == .succeeded)
        #expect(shown.stages[0].agent == "agent-2")
        await farm.end()
    }

    @Test func `locks that were granted before a restart are still held after it`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        let other = FakeAgent("agent-2", farm.engine, farm.contexts)
        for fake in [agent, other] {
            await fake.play("RUN one", .hang)
            await fake.play("RUN two", .hang)
            try await fake.join(slots: 1)
        }
        let mount = [Make.cache("c", .locked)]
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", mount)])]))
        _ = try await farm.submit(Make.plan([Make.stage("main", [Make.run("two", mount)])]))
        try await eventually {
            let counts = (await agent.received.count, await other.received.count)
            return counts == (1, 1)
        }
        let mine = try #require(await agent.received.first)
        let theirs = try #require(await other.received.first)
        let needs = [AcquireVolumes.Need(key: VolumeKey(project: "p", id: "c", platform: Make.platform), sharing: .locked)]
        _ = try await farm.engine.acquire(AcquireVolumes(assignment: mine.id, lock: "mine", needs: needs), from: "agent-1")
        try await farm.restart()
        let engine = farm.engine
        for fake in [agent, other] {
            await fake.move(to: engine)
            try await fake.join(slots: 1)
        }
        let waiting = Task {
            try await engine.acquire(AcquireVolumes(assignment: theirs.id, lock: "theirs", needs: needs), from: "agent-2")
        }
        try await eventually { await engine.locks.owner(of: "theirs") != nil }
        let early = await engine.locks.grantedRequest("theirs")
        #expect(early == nil)
        // The same request after the restart is the same lock.
        _ = try await engine.acquire(AcquireVolumes(assignment: mine.id, lock: "mine", needs: needs), from: "agent-1")
        try await engine.release(ReleaseVolumes(lock: "mine"), from: "agent-1")
        _ = try await waiting.value
        await farm.end()
    }

    @Test func `a report that comes twice counts once, also after a restart`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        await agent.play("RUN one", .hang)
        try await agent.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        try await eventually { try await farm.engine.describe(id).stages.first?.steps[0].status == .running }
        try await farm.restart()
        let engine = farm.engine
        await agent.move(to: engine)
        try await agent.join()
        try await agent.repeatReports(to: engine)
        await agent.letGo()
        let events = try await farm.finish(id)
        let logs = events.filter { if case .log = $0.kind { true } else { false } }
        #expect(logs.count == 1)
        let starts = events.filter { if case .stepStarted = $0.kind { true } else { false } }
        #expect(starts.count == 1)
        await farm.end()
    }

    @Test func `events are followed while they come, and read again from any point`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        await agent.play("RUN one", .hang)
        try await agent.join()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        var live = try await farm.engine.events(of: id, after: 0).makeAsyncIterator()
        let first = try await live.next()
        #expect(first?.sequence == 1)
        await agent.letGo()
        var count = 1
        while try await live.next() != nil { count += 1 }
        let all = try await farm.finish(id)
        #expect(all.count == count)
        var rest: [BuildEvent] = []
        for try await event in try await farm.engine.events(of: id, after: 2) { rest.append(event) }
        #expect(rest.map(\.sequence) == Array(3...count))
        await #expect(throws: EngineError.self) { try await farm.engine.events(of: "nothing", after: 0) }
        await farm.end()
    }

    @Test func `a reader who gives up is let go`() async throws {
        let farm = try await EngineFarm()
        let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
        let events = try await farm.engine.events(of: id, after: 0)
        let reader = Task { for try await _ in events {} }
        try await eventually { try await farm.engine.describe(id).status == .running }
        reader.cancel()
        _ = await reader.result
        await farm.end()
    }
}
