import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite("Equal work at once", .timeLimit(.minutes(1))) struct EngineSharingTests {
    private func withFarm(
        agents: [String] = ["agent-1", "agent-2"], _ body: (EngineFarm, [FakeAgent]) async throws -> Void
    ) async throws {
        let farm = try await EngineFarm()
        let fakes = agents.map { FakeAgent($0, farm.engine, farm.contexts) }
        do {
            for fake in fakes { try await fake.join() }
            try await body(farm, fakes)
            let claims = await farm.engine.claims
            #expect(claims.isEmpty, "nobody makes or waits for anything in the end")
        } catch {
            await farm.end()
            throw error
        }
        await farm.end()
    }

    /// All steps that ran, on whichever agent.
    private func ran(_ agents: [FakeAgent]) async -> [String] {
        var all: [String] = []
        for agent in agents { all += await agent.ran }
        return all.sorted()
    }

    private func letGo(_ agents: [FakeAgent]) async { for agent in agents { await agent.letGo() } }

    private func hang(_ step: String, _ agents: [FakeAgent]) async { for agent in agents { await agent.play(step, .hang) } }

    /// Waits until the build's step runs, there or elsewhere.
    private func eventuallyRuns(_ build: String, step: Int = 0, stage: Int = 0, _ farm: EngineFarm) async throws {
        try await eventually {
            let shown = try await farm.engine.describe(build)
            return shown.stages.indices.contains(stage) && shown.stages[stage].steps[step].status == .running
        }
    }

    private func logs(_ events: [BuildEvent]) -> [String] {
        events.compactMap { if case .log(_, _, let text) = $0.kind { text } else { nil } }
    }

    private func shares(_ events: [BuildEvent]) -> [String] {
        events.compactMap { if case .stepShared(_, _, let build, _) = $0.kind { build } else { nil } }
    }

    private static let plan = Make.plan([Make.stage("main", [Make.run("one"), Make.run("two"), Make.run("three")])])

    @Test func `equal builds at once run their steps once, give one image, and both show the output`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN one", agents)
            let first = try await farm.submit(Self.plan)
            try await eventuallyRuns(first, farm)
            let second = try await farm.submit(Self.plan)
            try await eventuallyRuns(second, farm)
            let waiting = try await farm.engine.describe(second)
            #expect(waiting.stages[0].placement?.contains("build \(first)") == true, "\(waiting.stages[0].placement ?? "")")
            #expect(waiting.stages[0].agent == nil)
            await letGo(agents)
            _ = try await farm.finish(first)
            let events = try await farm.finish(second)
            #expect(await ran(agents) == ["RUN one", "RUN three", "RUN two"])
            #expect(shares(events).first == first)
            #expect(logs(events).contains("RUN one here\n"), "what was written before it came")
            let images = [try await farm.engine.describe(first), try await farm.engine.describe(second)]
            #expect(images[0].status == .succeeded && images[1].status == .succeeded)
            #expect(images[0].image?.digest == images[1].image?.digest)
            #expect(images[1].stages[0].steps.allSatisfy { $0.cached })
        }
    }

    @Test func `a build that waits in the queue takes no place of an agent for what another has begun`() async throws {
        try await withFarm(agents: ["agent-1"]) { farm, agents in
            try await agents[0].join(slots: 1)
            await hang("RUN other", agents)
            await hang("RUN one", agents)
            let other = try await farm.submit(Make.plan([Make.stage("main", [Make.run("other")])]))
            try await eventuallyRuns(other, farm)
            // Both wait for the only slot.
            let builds = [try await farm.submit(Self.plan), try await farm.submit(Self.plan)]
            await letGo(agents)
            for build in builds { _ = try await farm.finish(build) }
            _ = try await farm.finish(other)
            #expect(await ran(agents) == ["RUN one", "RUN other", "RUN three", "RUN two"])
            #expect(await agents[0].received.count == 2)
        }
    }

    @Test func `when the build that runs the step is cancelled, the step goes on for the other`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN two", agents)
            let first = try await farm.submit(Self.plan)
            try await eventuallyRuns(first, step: 1, farm)
            let second = try await farm.submit(Self.plan)
            try await eventuallyRuns(second, step: 1, farm)
            try await farm.engine.cancel(first)
            let cancelled = try await farm.engine.describe(first)
            #expect(cancelled.status == .cancelled)
            await letGo(agents)
            _ = try await farm.finish(second)
            let shown = try await farm.engine.describe(second)
            #expect(shown.status == .succeeded, "\(shown.error ?? "")")
            #expect(shown.stages[0].steps.map(\.cached) == [true, false, false])
            #expect(await ran(agents) == ["RUN one", "RUN three", "RUN two"])
            var ended: Set<String> = []
            for agent in agents { ended.formUnion(await agent.cancelled) }
            #expect(ended.isEmpty, "no agent was told to end anything")
        }
    }

    @Test func `a step goes on for a build that goes on otherwise, and its agent ends what nobody wants`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN two", agents)
            await hang("RUN three", agents)
            let first = try await farm.submit(Self.plan)
            try await eventuallyRuns(first, step: 1, farm)
            let plan = Make.plan([Make.stage("other", [Make.run("one"), Make.run("two"), Make.run("four")])])
            let second = try await farm.submit(plan)
            try await eventuallyRuns(second, step: 1, farm)
            try await farm.engine.cancel(first)
            await letGo(agents)
            _ = try await farm.finish(second)
            let shown = try await farm.engine.describe(second)
            #expect(shown.status == .succeeded, "\(shown.error ?? "")")
            let steps = await ran(agents)
            #expect(steps.filter { $0 == "RUN two" }.count == 1)
            #expect(steps.filter { $0 == "RUN four" }.count == 1)
            try await eventually { await farm.engine.assignments.isEmpty }
        }
    }

    @Test func `a third that waits goes on with the second when the first is cancelled`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN one", agents)
            var builds: [String] = []
            for _ in 0..<3 {
                builds.append(try await farm.submit(Self.plan))
                try await eventuallyRuns(builds[builds.count - 1], farm)
            }
            try await farm.engine.cancel(builds[0])
            try await farm.engine.cancel(builds[1])
            await letGo(agents)
            _ = try await farm.finish(builds[2])
            #expect(try await farm.engine.describe(builds[2]).status == .succeeded)
            #expect(await ran(agents) == ["RUN one", "RUN three", "RUN two"])
        }
    }

    @Test func `a build that only waits can be cancelled without the other's noticing`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN one", agents)
            let first = try await farm.submit(Self.plan)
            try await eventuallyRuns(first, farm)
            let second = try await farm.submit(Self.plan)
            try await eventuallyRuns(second, farm)
            try await farm.engine.cancel(second)
            #expect(try await farm.engine.describe(second).stages[0].steps[0].status == .cancelled)
            await letGo(agents)
            _ = try await farm.finish(first)
            #expect(try await farm.engine.describe(first).status == .succeeded)
        }
    }

    @Test func `both fail by a step that fails by itself, with its output, and it ran once`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN one", agents)
            for agent in agents { await agent.play("RUN two", .fail) }
            let first = try await farm.submit(Self.plan)
            try await eventuallyRuns(first, farm)
            let second = try await farm.submit(Self.plan)
            try await eventuallyRuns(second, farm)
            await letGo(agents)
            _ = try await farm.finish(first)
            let events = try await farm.finish(second)
            let shown = try await farm.engine.describe(second)
            #expect(shown.status == .failed)
            #expect(shown.error?.contains("RUN two exited with 7") == true && shown.error?.contains(first) == true, "\(shown.error ?? "")")
            #expect(shown.stages[0].steps[1].exitCode == 7)
            #expect(logs(events).contains("RUN two here\n"))
            #expect(await ran(agents) == ["RUN one", "RUN two"])
        }
    }

    @Test func `a failure of a step with a secret is not the other build's`() async throws {
        try await withFarm { farm, agents in
            let mount = Mount(target: "/run/secrets/s", readOnly: true, kind: .secret(SecretMount(id: "s")))
            let plan = Make.plan([Make.stage("main", [Make.run("one", [mount])])])
            let (failing, working) = (agents[0], agents[1])
            await failing.play("RUN one", .hangAndFail)
            var options = BuildOptions()
            options.require = ["name": "agent-1"]
            let first = try await farm.submit(plan, options: options)
            try await eventuallyRuns(first, farm)
            options.require = ["name": "agent-2"]
            let second = try await farm.submit(plan, options: options)
            try await eventuallyRuns(second, farm)
            #expect(await working.received.isEmpty)
            await letGo(agents)
            _ = try await farm.finish(first)
            let events = try await farm.finish(second)
            #expect(try await farm.engine.describe(first).status == .failed)
            #expect(try await farm.engine.describe(second).status == .succeeded)
            #expect(events.contains { if case .stageRetried = $0.kind { true } else { false } })
        }
    }

    @Test func `when the agent that runs the step dies, both go on, and it runs once more`() async throws {
        try await withFarm(agents: ["agent-1"]) { farm, agents in
            await hang("RUN one", agents)
            let first = try await farm.submit(Self.plan)
            try await eventuallyRuns(first, farm)
            let second = try await farm.submit(Self.plan)
            try await eventuallyRuns(second, farm)
            let other = FakeAgent("agent-2", farm.engine, farm.contexts)
            try await other.join()
            await agents[0].die()
            try await farm.advance(farm.settings.lease + 2, alive: [other])
            _ = try await farm.finish(first)
            let events = try await farm.finish(second)
            #expect(try await farm.engine.describe(first).status == .succeeded)
            #expect(try await farm.engine.describe(second).status == .succeeded)
            #expect(await other.ran == ["RUN one", "RUN two", "RUN three"])
            #expect(
                events.contains { if case .stageRetried(0, let reason) = $0.kind { reason.contains("agent-1 is lost") } else { false } })
        }
    }

    @Test func `after a restart of the coordinator it is still shared`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN two", agents)
            let first = try await farm.submit(Self.plan)
            try await eventuallyRuns(first, step: 1, farm)
            let second = try await farm.submit(Self.plan)
            try await eventuallyRuns(second, step: 1, farm)
            try await farm.restart()
            for agent in agents {
                await agent.move(to: farm.engine)
                try await agent.join()
            }
            try await eventually { await !farm.engine.claims.waiters(for: "\(first)-0-1").isEmpty }
            await letGo(agents)
            _ = try await farm.finish(first)
            _ = try await farm.finish(second)
            #expect(try await farm.engine.describe(second).status == .succeeded)
            #expect(await ran(agents) == ["RUN one", "RUN three", "RUN two"])
        }
    }

    @Test func `after a restart of the coordinator, what was handed over goes on`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN two", agents)
            // The same steps at other places of the stage.
            var main = Make.stage("main", .stage(0), [Make.run("two"), Make.run("three")])
            main.history.insert(HistoryEntry(createdBy: "RUN one", emptyLayer: false), at: 1)
            let longer = Make.plan([Make.stage("base", [Make.run("one")]), main])
            let first = try await farm.submit(Self.plan)
            try await eventuallyRuns(first, step: 1, farm)
            let second = try await farm.submit(longer)
            try await eventuallyRuns(second, stage: 1, farm)
            try await farm.engine.cancel(first)
            try await farm.restart()
            for agent in agents {
                await agent.move(to: farm.engine)
                try await agent.join()
            }
            await letGo(agents)
            _ = try await farm.finish(second)
            let shown = try await farm.engine.describe(second)
            #expect(shown.status == .succeeded, "\(shown.error ?? "")")
            #expect(shown.stages[1].attempts == 1)
            #expect(await ran(agents) == ["RUN one", "RUN three", "RUN two"])
        }
    }

    @Test func `a build without cache shares nothing, in either direction`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN one", agents)
            var options = BuildOptions()
            options.noCache = true
            let first = try await farm.submit(Self.plan, options: options)
            try await eventuallyRuns(first, farm)
            let second = try await farm.submit(Self.plan)
            try await eventuallyRuns(second, farm)
            let third = try await farm.submit(Self.plan, options: options)
            try await eventuallyRuns(third, farm)
            #expect(await ran(agents).isEmpty)
            await letGo(agents)
            for build in [first, second, third] { _ = try await farm.finish(build) }
            #expect(await ran(agents).filter { $0 == "RUN one" }.count == 3)
        }
    }

    @Test func `equal stages of one build run once`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN one", agents)
            let plan = Make.plan([
                Make.stage("a", [Make.run("one"), Make.run("a")]), Make.stage("b", [Make.run("one"), Make.run("b")]),
                Make.stage("main", [Make.copy("1", from: .stage(0)), Make.copy("2", from: .stage(1))]),
            ])
            let build = try await farm.submit(plan)
            try await eventuallyRuns(build, stage: 0, farm)
            try await eventuallyRuns(build, stage: 1, farm)
            await letGo(agents)
            _ = try await farm.finish(build)
            let shown = try await farm.engine.describe(build)
            #expect(shown.status == .succeeded, "\(shown.error ?? "")")
            #expect(await ran(agents) == ["COPY 1", "COPY 2", "RUN a", "RUN b", "RUN one"])
        }
    }

    @Test func `files of another stage are shared also while their digests are not known`() async throws {
        try await withFarm { farm, agents in
            await hang("COPY o", agents)
            let plan = Make.plan([
                Make.stage("x", [Make.run("x")]), Make.stage("main", [Make.copy("o", from: .stage(0)), Make.run("last")]),
            ])
            let first = try await farm.submit(plan)
            try await eventuallyRuns(first, stage: 1, farm)
            let second = try await farm.submit(plan)
            try await eventuallyRuns(second, stage: 1, farm)
            await letGo(agents)
            for build in [first, second] { _ = try await farm.finish(build) }
            #expect(await ran(agents) == ["COPY o", "RUN last", "RUN x"])
        }
    }

    @Test func `an agent that comes upon a step that another makes gives its stage back, and it counts as no attempt`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN same", agents)
            // Different ways to the same layers, which only the agents know: both make a layer without anything in it.
            for agent in agents { await agent.play("RUN a", .empty); await agent.play("RUN b", .empty) }
            await hang("RUN b", agents)
            let first = try await farm.submit(Make.plan([Make.stage("main", [Make.run("a"), Make.run("same")])]))
            try await eventuallyRuns(first, step: 1, farm)
            let second = try await farm.submit(Make.plan([Make.stage("main", [Make.run("b"), Make.run("same")])]))
            for agent in agents { await agent.play("RUN b", .empty) }
            try await eventuallyRuns(second, step: 1, farm)
            await letGo(agents)
            for build in [first, second] { _ = try await farm.finish(build) }
            #expect(await ran(agents) == ["RUN a", "RUN b", "RUN same"])
            let shown = try await farm.engine.describe(second)
            #expect(shown.status == .succeeded, "\(shown.error ?? "")")
        }
    }

    @Test func `volumes of a project are never given to a build of another with a step`() async throws {
        try await withFarm { farm, agents in
            await hang("RUN one", agents)
            let plan = Make.plan([Make.stage("main", [Make.run("one", [Make.cache("c")])])])
            let first = try await farm.submit(plan)
            try await eventuallyRuns(first, farm)
            let second = try await farm.submit(plan, project: "q")
            try await eventuallyRuns(second, farm)
            try await farm.engine.cancel(first)
            // A step that had ended before it heard of that would have left its record.
            try await eventually {
                var ended = 0
                for agent in agents { ended += await agent.cancelled.count }
                return ended == 1
            }
            await letGo(agents)
            _ = try await farm.finish(second)
            #expect(try await farm.engine.describe(second).status == .succeeded)
            var projects: [String] = []
            for agent in agents { projects += await agent.received.map(\.project) }
            #expect(projects == ["p", "q"])
        }
    }
}
