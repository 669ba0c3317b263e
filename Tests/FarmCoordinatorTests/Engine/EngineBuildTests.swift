import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite("A build's life", .timeLimit(.minutes(1))) struct EngineBuildTests {
    private func withFarm(
        agents: [String] = ["agent-1"], _ body: (EngineFarm, [FakeAgent]) async throws -> Void
    ) async throws {
        let farm = try await EngineFarm()
        let fakes = agents.map { FakeAgent($0, farm.engine, farm.contexts) }
        do {
            for fake in fakes { try await fake.join() }
            try await body(farm, fakes)
        } catch {
            await farm.end()
            throw error
        }
        await farm.end()
    }

    private func expectSuccess(_ build: BuildDescription) { #expect(build.status == .succeeded, "\(build.error ?? "")") }

    @Test func `a second identical build asks no agent and gives the same image`() async throws {
        try await withFarm { farm, agents in
            farm.contexts.set("a", "text")
            let plan = Make.plan([Make.stage("main", [Make.run("one"), Make.copy("a"), Make.run("two")])])
            let first = try await farm.build(plan)
            #expect(first.status == .succeeded, "\(first.error ?? "")")
            #expect(first.stages[0].agent == "agent-1")
            #expect(first.stages[0].placement != nil)
            #expect(await agents[0].ran == ["RUN one", "COPY a", "RUN two"])
            let second = try await farm.build(plan)
            #expect(second.status == .succeeded)
            #expect(second.image != nil)
            #expect(second.image?.digest == first.image?.digest)
            #expect(second.stages[0].steps.allSatisfy { $0.cached && $0.status == .succeeded })
            #expect(second.stages[0].agent == nil)
            #expect(await agents[0].received.count == 1)
        }
    }

    @Test func `a fully cached build needs no agent to be connected, as long as the layers' holder is not lost`() async throws {
        try await withFarm { farm, agents in
            let plan = Make.plan([Make.stage("main", [Make.run("one")])])
            _ = try await farm.build(plan)
            await agents[0].die()
            try await eventually { await farm.engine.agents()[0].state == .lost }
            try await expectSuccess(farm.build(plan))
        }
    }

    @Test func `a changed file runs only what reads it and what stands on that`() async throws {
        try await withFarm { farm, agents in
            farm.contexts.set("a", "1")
            farm.contexts.set("b", "1")
            let plan = Make.plan([
                Make.stage("x", [Make.copy("a"), Make.run("x")]), Make.stage("y", [Make.copy("b"), Make.run("y")]),
                Make.stage("main", [Make.copy("x.out", from: .stage(0)), Make.copy("y.out", from: .stage(1))]),
            ])
            try await expectSuccess(farm.build(plan))
            let before = await agents[0].ran.count
            #expect(before == 6)
            farm.contexts.set("b", "2")
            try await expectSuccess(farm.build(plan))
            let after = Array(await agents[0].ran[before...])
            #expect(after == ["COPY b", "RUN y", "COPY y.out"])
        }
    }

    @Test func `independent stages run on different agents at the same time`() async throws {
        try await withFarm(agents: ["agent-1", "agent-2"]) { farm, agents in
            for agent in agents {
                await agent.play("RUN x", .hang)
                await agent.play("RUN y", .hang)
            }
            let plan = Make.plan([
                Make.stage("x", [Make.run("x")]), Make.stage("y", [Make.run("y")]),
                Make.stage("main", [Make.copy("1", from: .stage(0)), Make.copy("2", from: .stage(1))]),
            ])
            let id = try await farm.submit(plan)
            try await eventually { await agents[0].received.count == 1 }
            try await eventually { await agents[1].received.count == 1 }
            for agent in agents { await agent.letGo() }
            _ = try await farm.finish(id)
            let shown = try await farm.engine.describe(id)
            #expect(shown.status == .succeeded)
            let last = await agents[0].received.last
            let main = await agents[1].received.last
            let sources = ([last, main].compactMap(\.self).first { $0.stageName == "main" })?.sources ?? []
            #expect(sources.map(\.source) == [.stage(0), .stage(1)])
            #expect(sources.allSatisfy { $0.layers.count == 2 })
        }
    }

    @Test func `a required label forces the place, and one that nobody has ends the build with a reason`() async throws {
        try await withFarm(agents: ["agent-1", "agent-2"]) { farm, agents in
            var options = BuildOptions()
            options.require = ["name": "agent-2"]
            let plan = Make.plan([Make.stage("main", [Make.run("one")])])
            #expect(try await farm.build(plan, options: options).stages[0].agent == "agent-2")
            options.require = ["name": "agent-9"]
            options.noCache = true
            let id = try await farm.submit(plan, options: options)
            try await eventually { try await farm.engine.describe(id).stages.first?.placement?.contains("agent-9") ?? false }
            try await farm.advance(farm.settings.unschedulableTimeout + 2, alive: agents)
            _ = try await farm.finish(id)
            let shown = try await farm.engine.describe(id)
            #expect(shown.status == .failed)
            #expect(shown.error?.contains("no agent has the label name=agent-9") == true)
        }
    }

    @Test func `a step that fails by itself ends the build and is not retried`() async throws {
        try await withFarm { farm, agents in
            await agents[0].play("RUN bad", .fail)
            let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("good"), Make.run("bad"), Make.run("never")])]))
            let events = try await farm.finish(id)
            guard case .finished(let status, let failure, let image, _) = events.last?.kind else {
                Issue.record("no end")
                return
            }
            #expect(status == .failed)
            #expect(failure?.exitCode == 7)
            #expect(failure?.lines == 1...1)
            #expect(image == nil)
            #expect(events.map(\.sequence) == Array(1...events.count))
            let shown = try await farm.engine.describe(id)
            #expect(shown.stages[0].steps.map(\.status) == [.succeeded, .failed, .cancelled])
            #expect(shown.stages[0].steps[1].exitCode == 7)
            #expect(await agents[0].received.count == 1)
        }
    }

    @Test func `a stage that an agent can't do goes to another`() async throws {
        try await withFarm(agents: ["agent-1", "agent-2"]) { farm, agents in
            await agents[0].play("RUN one", .unable)
            let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one")])]))
            let events = try await farm.finish(id)
            let shown = try await farm.engine.describe(id)
            #expect(shown.status == .succeeded)
            #expect(shown.stages[0].agent == "agent-2")
            #expect(shown.stages[0].attempts == 2)
            #expect(
                events.contains { if case .stageRetried(0, let reason) = $0.kind { reason.contains("its disk is full") } else { false } })
        }
    }

    @Test func `a stage that nobody can do fails the build after a number of attempts`() async throws {
        try await withFarm(agents: ["agent-1", "agent-2"]) { farm, agents in
            for agent in agents { await agent.play("RUN one", .unable) }
            let shown = try await farm.build(Make.plan([Make.stage("main", [Make.run("one")])]))
            #expect(shown.status == .failed)
            #expect(shown.stages[0].attempts == farm.settings.maximumAttempts)
            #expect(shown.error?.contains("its disk is full") == true)
            #expect(shown.stages[0].status == .failed && shown.stages[0].steps.map(\.status) == [.failed], "nobody cancelled it")
        }
    }

    @Test func `a stage that steps with records do not need is not run, though its layers are gone`() async throws {
        try await withFarm(agents: ["agent-1"]) { farm, agents in
            let plan = Make.plan([Make.stage("x", [Make.run("x")]), Make.stage("main", [Make.copy("1", from: .stage(0))])])
            try await expectSuccess(farm.build(plan))
            var change = HoldingsChange()
            let layer = try #require(await agents[0].received.last?.sources.first?.layers.last)
            change.removedLayers = [layer.diffID]
            try await farm.engine.holdingsChanged(change, of: "agent-1")
            try await expectSuccess(farm.build(plan))
            #expect(await agents[0].received.count == 2)
        }
    }

    @Test func `a layer that nobody has any more is made again`() async throws {
        try await withFarm(agents: ["agent-1"]) { farm, agents in
            let plan = Make.plan([Make.stage("main", [Make.run("one"), Make.run("two")])])
            let first = try await farm.build(plan)
            var change = HoldingsChange()
            change.removedLayers = [
                try #require(await agents[0].received.first.map { Chain.id(of: $0.base) }), await agents[0].lastLayer(),
            ]
            try await farm.engine.holdingsChanged(change, of: "agent-1")
            let second = try await farm.build(plan)
            #expect(second.status == .succeeded)
            #expect(second.stages[0].steps.map(\.cached) == [true, false])
            #expect(await agents[0].received.last?.firstStep == 1)
            #expect(first.image != nil)
        }
    }

    @Test func `--no-cache runs everything, its filter only the named stages`() async throws {
        try await withFarm { farm, agents in
            let plan = Make.plan([Make.stage("x", [Make.run("x")]), Make.stage("main", .stage(0), [Make.run("main")])])
            _ = try await farm.build(plan)
            var options = BuildOptions()
            options.noCacheFilter = ["main"]
            let filtered = try await farm.build(plan, options: options)
            #expect(filtered.stages.map { $0.steps[0].cached } == [true, false])
            options = BuildOptions()
            options.noCache = true
            let all = try await farm.build(plan, options: options)
            #expect(all.stages.map { $0.steps[0].cached } == [false, false])
            #expect(await agents[0].ran == ["RUN x", "RUN main", "RUN main", "RUN x", "RUN main"])
        }
    }

    @Test func `file contents are asked for before steps that read them are given to an agent`() async throws {
        try await withFarm { farm, agents in
            farm.contexts.set("a", "text")
            farm.contexts.state.withLock { $0.hidesContents = true }
            let id = try await farm.submit(Make.plan([Make.stage("main", [Make.copy("a")])]))
            try await eventually { try await farm.engine.needs(of: id) == [Digest.of("text")] }
            #expect(await agents[0].received.isEmpty)
            farm.contexts.state.withLock { _ = $0.stored.insert(Digest.of("text")) }
            try await farm.engine.contentsArrived(for: id)
            let events = try await farm.finish(id)
            #expect(events.contains { if case .needsContents(files: 1) = $0.kind { true } else { false } })
            #expect(try await farm.engine.describe(id).status == .succeeded)
            // The second build moves nothing.
            farm.contexts.state.withLock { $0.stored = [] }
            let second = try await farm.submit(Make.plan([Make.stage("main", [Make.copy("a")])]))
            let more = try await farm.finish(second)
            #expect(!more.contains { if case .needsContents = $0.kind { true } else { false } })
        }
    }

    @Test func `a client that will leave is told all that the build needs once that is known, and no sooner`() async throws {
        try await withFarm { farm, _ in
            farm.contexts.set("a", "text")
            farm.contexts.state.withLock { ($0.hidesContents, $0.hasTree) = (true, false) }
            let request = try Make.request(Make.plan([Make.stage("main", [Make.run("one"), Make.copy("a")])]))
            let build = try await farm.engine.submit(request, user: "u").build
            let engine = farm.engine
            let asked = Task { try await engine.settledNeeds(of: build) }
            #expect(try await engine.needs(of: build).isEmpty)
            farm.contexts.state.withLock { $0.hasTree = true }
            try await engine.start(build)
            #expect(try await asked.value == [Digest.of("text")])
            farm.contexts.state.withLock { _ = $0.stored.insert(Digest.of("text")) }
            try await engine.contentsArrived(for: build)
            #expect(try await engine.settledNeeds(of: build) == [])
            _ = try await farm.finish(build)
            #expect(try await engine.settledNeeds(of: build) == [])
        }
    }

    @Test func `a client that never uploads ends its build, not the farm`() async throws {
        try await withFarm { farm, agents in
            farm.contexts.set("a", "text")
            farm.contexts.state.withLock { $0.hidesContents = true }
            let id = try await farm.submit(Make.plan([Make.stage("main", [Make.copy("a")])]))
            try await eventually { try await farm.engine.needs(of: id).count == 1 }
            try await farm.advance(farm.settings.contentsTimeout + 2, alive: agents)
            let shown = try await farm.engine.describe(id)
            #expect(shown.status == .failed)
            #expect(shown.error?.contains("did not upload 1 files") == true)
        }
    }

    @Test func `a client that follows its build has all the time it needs to upload`() async throws {
        try await withFarm { farm, agents in
            farm.contexts.set("a", "text")
            farm.contexts.state.withLock { $0.hidesContents = true }
            let id = try await farm.submit(Make.plan([Make.stage("main", [Make.copy("a")])]))
            try await eventually { try await farm.engine.needs(of: id).count == 1 }
            let events = try await farm.engine.events(of: id, after: 0)
            let follower = Task { for try await _ in events {} }
            try await eventually { await farm.engine.bell.isWaitedFor(id) }
            try await farm.advance(farm.settings.contentsTimeout + 2, alive: agents)
            let shown = try await farm.engine.describe(id)
            #expect(shown.status == .running)
            follower.cancel()
            _ = await follower.result
        }
    }

    @Test func `a build waits for its context's directories`() async throws {
        try await withFarm { farm, agents in
            farm.contexts.state.withLock { $0.hasTree = false }
            let request = try Make.request(Make.plan([Make.stage("main", [Make.run("one")])]))
            let answer = try await farm.engine.submit(request, user: "u")
            #expect(!answer.started)
            await #expect(throws: EngineError.self) { try await farm.engine.start(answer.build) }
            farm.contexts.state.withLock { $0.hasTree = true }
            try await farm.engine.start(answer.build)
            _ = try await farm.finish(answer.build)
            #expect(try await farm.engine.describe(answer.build).status == .succeeded)
        }
    }

    @Test func `a path that is not in the context fails before anything runs`() async throws {
        try await withFarm { farm, agents in
            let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one"), Make.copy("missing")])]))
            _ = try await farm.finish(id)
            let shown = try await farm.engine.describe(id)
            #expect(shown.status == .failed)
            #expect(shown.error?.contains("missing: not found in the context") == true)
            #expect(await agents[0].received.isEmpty)
        }
    }

    @Test func `a retried submission is the same build`() async throws {
        try await withFarm { farm, agents in
            let request = try Make.request(Make.plan([Make.stage("main", [Make.run("one")])]))
            let engine = farm.engine
            async let a = engine.submit(request, user: "u")
            async let b = engine.submit(request, user: "u")
            let (first, second) = try await (a, b)
            #expect(first.build == second.build)
            _ = try await farm.finish(first.build)
            #expect(try await farm.engine.submit(request, user: "u").build == first.build)
            #expect(try await farm.engine.submit(request, user: "other").build != first.build)
        }
    }

    @Test func `cancelling tells the agent and keeps its locks until it has stopped`() async throws {
        try await withFarm { farm, agents in
            await agents[0].play("RUN one", .hang)
            let id = try await farm.submit(Make.plan([Make.stage("main", [Make.run("one", [Make.cache("c", .locked)])])]))
            try await eventually { await agents[0].received.count == 1 }
            let assignment = try #require(await agents[0].received.first)
            let needs = [AcquireVolumes.Need(key: VolumeKey(project: "p", id: "c", platform: Make.platform), sharing: .locked)]
            _ = try await farm.engine.acquire(AcquireVolumes(assignment: assignment.id, lock: "l", needs: needs), from: "agent-1")
            try await farm.engine.cancel(id)
            let events = try await farm.finish(id)
            guard case .finished(.cancelled, _, _, _) = events.last?.kind else {
                Issue.record("not cancelled")
                return
            }
            try await eventually { await agents[0].cancelled.contains(assignment.id) }
            try await eventually { await farm.engine.assignments.isEmpty }
            #expect(await farm.engine.locks.grantedRequest("l") == nil)
            try await farm.engine.cancel(id)
        }
    }

    @Test func `a build is found by a prefix that is unique`() async throws {
        try await withFarm { farm, _ in
            let shown = try await farm.build(Make.plan([Make.stage("main", [Make.run("one")])]))
            #expect(try await farm.engine.describe(String(shown.id.prefix(6))).id == shown.id)
            await #expect(throws: EngineError.notFound("there is no build zzz")) { try await farm.engine.describe("zzz") }
            #expect(try await farm.engine.builds(limit: 10).map(\.id) == [shown.id])
        }
    }

    @Test func `a drained agent gets no new stage until it is resumed`() async throws {
        try await withFarm(agents: ["agent-1", "agent-2"]) { farm, _ in
            try await farm.engine.drain("agent-1")
            let plan = Make.plan([Make.stage("main", [Make.run("one")])])
            #expect(try await farm.build(plan).stages[0].agent == "agent-2")
            try await farm.engine.resume("agent-1")
            try await farm.engine.drain("agent-2")
            var options = BuildOptions()
            options.noCache = true
            #expect(try await farm.build(plan, options: options).stages[0].agent == "agent-1")
            #expect(await farm.engine.agents().map(\.state) == [.ready, .draining])
        }
    }
}
