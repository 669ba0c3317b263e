import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

/// Builds with much in common, submitted, cancelled and interrupted at random.
@Suite("Equal work in any history", .timeLimit(.minutes(2))) struct EngineSharingHistoryTests {
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }
    }

    /// Few different steps, so that most builds begin alike, in one stage or in two with files of the one in the other.
    private func plan(_ random: inout Seeded) -> Plan {
        func steps(_ length: Int) -> [Step] { (0..<length).map { Make.run("\($0)\(["a", "b"].randomElement(using: &random) ?? "a")") } }
        if Bool.random(using: &random) { return Make.plan([Make.stage("main", steps(3))]) }
        return Make.plan([
            Make.stage("x", steps(2)), Make.stage("y", steps(2)),
            Make.stage("main", [Make.copy("x", from: .stage(0)), Make.copy("y", from: .stage(1))] + steps(1)),
        ])
    }

    private func run(seed: Int, faults: Bool) async throws {
        var random = Seeded(state: UInt64(seed))
        var settings = EngineSettings()
        settings.maximumAttempts = 1000
        let farm = try await EngineFarm(settings: settings)
        let agents = (1...3).map { FakeAgent("agent-\($0)", farm.engine, farm.contexts) }
        for agent in agents {
            for step in ["RUN 0a", "RUN 1b", "COPY x"] { await agent.play(step, .hang) }
            try await agent.join(slots: Int.random(in: 1...2, using: &random))
        }
        var open: [String] = []
        var cancelled: Set<String> = []
        for _ in 0..<12 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...5: open.append(try await farm.submit(plan(&random), project: ["p", "q"].randomElement(using: &random) ?? "p"))
            case 6 where faults:
                guard let build = open.randomElement(using: &random) else { continue }
                try await farm.engine.cancel(build)
                cancelled.insert(build)
            case 7 where faults:
                let agent = agents[Int.random(in: 0..<agents.count, using: &random)]
                await agent.die()
                try await agent.join(slots: 1)
            case 8 where faults:
                let agent = agents[Int.random(in: 0..<agents.count, using: &random)]
                await agent.lose()
                try await agent.join(slots: 1)
            default: for _ in 0..<20 { await Task.yield() }
            }
        }
        for agent in agents { await agent.letGo() }
        for build in open {
            _ = try await farm.finish(build)
            let shown = try await farm.engine.describe(build)
            // One that had ended before it was cancelled has succeeded.
            #expect(
                shown.status == .succeeded || shown.status == .cancelled && cancelled.contains(build),
                "seed \(seed): \(shown.status) \(shown.error ?? "")")
        }
        try await eventually { await farm.engine.assignments.isEmpty }
        let claims = await farm.engine.claims
        #expect(claims.isEmpty, "seed \(seed)")
        var made: [Digest] = []
        for agent in agents { made += await agent.made }
        if !faults { #expect(Set(made).count == made.count, "seed \(seed): a step ran twice") }
        await farm.end()
    }

    @Test func `without faults no step ever runs twice`() async throws {
        for seed in 0..<25 { try await run(seed: seed, faults: false) }
    }

    @Test func `whatever is cancelled and lost, every build that was not cancelled ends well`() async throws {
        for seed in 100..<140 { try await run(seed: seed, faults: true) }
    }
}
