import BuildPlan
import Digests
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite("Resources, preferences and priorities of builds", .timeLimit(.minutes(1))) struct EngineResourceTests {
    private static let resources = AgentResources(cpus: 4, memory: 8 << 30)

    private func options(_ change: (inout BuildOptions) -> Void) -> BuildOptions {
        var options = BuildOptions()
        change(&options)
        return options
    }

    private func plan(_ command: String) -> Plan { Make.plan([Make.stage("main", [Make.run(command)])]) }

    @Test func `reserved memory is given once, shown while it is, and known again after a restart`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        for step in ["RUN one", "RUN two"] { await agent.play(step, .hang) }
        try await agent.join(slots: 4, resources: Self.resources)
        let large = options { ($0.cpus, $0.memory) = (1.5, 5 << 30) }
        let first = try await farm.submit(plan("one"), options: large)
        try await eventually { await agent.received.count == 1 }
        let command = try #require(await agent.received.first)
        #expect(command.cpus == 1.5 && command.memory == 5 << 30)
        let second = try await farm.submit(plan("two"), options: large)
        try await eventually { try await farm.engine.describe(second).stages.first?.placement?.isEmpty == false }
        #expect(await agent.received.count == 1)
        func described() async throws -> AgentDescription { try #require(await farm.engine.agents().first) }
        var shown = try await described()
        #expect(shown.cpus == 4 && shown.memory == 8 << 30 && shown.reservedCPUs == 1.5 && shown.reservedMemory == 5 << 30)
        let build = try await farm.engine.describe(first)
        #expect(build.cpus == 1.5 && build.memory == 5 << 30 && build.priority == 0 && build.prefer == nil)

        try await farm.restart()
        await agent.move(to: farm.engine)
        try await agent.join(slots: 4, resources: Self.resources)
        shown = try await described()
        #expect(shown.reservedCPUs == 1.5 && shown.reservedMemory == 5 << 30)
        #expect(await agent.received.count == 1)
        await agent.letGo()
        _ = try await farm.finish(first)
        _ = try await farm.finish(second)
        #expect(try await farm.engine.describe(second).status == .succeeded)
        try await eventually { try await described().reservedMemory == 0 }
        await farm.end()
    }

    @Test func `a build that no agent is large enough for fails, and says what there is`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        let other = FakeAgent("agent-2", farm.engine, farm.contexts)
        try await agent.join(resources: Self.resources)
        try await other.join(resources: AgentResources(withoutLimits: "it has no cgroups"))
        let id = try await farm.submit(plan("one"), options: options { $0.memory = 9 << 30 })
        try await eventually { try await farm.engine.describe(id).stages.first?.placement != nil }
        try await farm.advance(farm.settings.unschedulableTimeout + 2, alive: [agent, other])
        _ = try await farm.finish(id)
        let error = try #require(try await farm.engine.describe(id).error)
        #expect(
            error.contains(
                "no agent has 9 GiB of memory for a stage (agent-1: 4 CPUs and 8 GiB of memory, agent-2: none, it has no cgroups)"),
            "\(error)")
        await farm.end()
    }

    @Test func `a preferred label draws`() async throws {
        let farm = try await EngineFarm()
        try await FakeAgent("agent-1", farm.engine, farm.contexts).join(slots: 1)
        try await FakeAgent("agent-2", farm.engine, farm.contexts).join(slots: 1, labels: ["disk": "ssd"])
        let build = try await farm.build(plan("one"), options: options { $0.prefer = ["disk": "ssd"] })
        #expect(build.stages.first?.agent == "agent-2" && build.prefer == ["disk": "ssd"])
        await farm.end()
    }

    @Test func `a build of high priority is not behind others that wait for the same agent`() async throws {
        let farm = try await EngineFarm()
        let busy = FakeAgent("agent-1", farm.engine, farm.contexts)
        await busy.play("RUN hold", .hang)
        try await busy.join(slots: 1)
        // It has a free slot all the time, so that whoever wants the other one is looked at, and gets in its line, at once.
        try await FakeAgent("agent-2", farm.engine, farm.contexts).join(slots: 1)
        func submit(_ command: String, priority: Int) async throws -> String {
            try await farm.submit(
                plan(command),
                options: options { ($0.priority, $0.require) = (priority, ["name": "agent-1"]) })
        }
        var builds = [try await submit("hold", priority: 0)]
        try await eventually { await busy.received.count == 1 }
        for number in 0..<4 { builds.append(try await submit("low \(number)", priority: -2)) }
        builds.append(try await submit("high", priority: 2))
        for id in builds.dropFirst() {
            try await eventually { try await farm.engine.describe(id).stages.first?.placement?.hasPrefix("waits for agent-1") == true }
        }
        await busy.letGo()
        for id in builds { _ = try await farm.finish(id) }
        #expect(await busy.ran.prefix(2) == ["RUN hold", "RUN high"])
        await farm.end()
    }

    @Test func `equal steps with different memory do not wait for each other`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        await agent.play("RUN one", .hang)
        try await agent.join(slots: 4, resources: Self.resources)
        let small = try await farm.submit(plan("one"), options: options { $0.memory = 1 << 30 })
        let large = try await farm.submit(plan("one"), options: options { $0.memory = 2 << 30 })
        try await eventually { await agent.received.count == 2 }
        await agent.letGo()
        for id in [small, large] { _ = try await farm.finish(id) }
        #expect(Set(await agent.received.map(\.memory)) == [1 << 30, 2 << 30])
        await farm.end()
    }

    @Test func `a platform that an agent emulates goes there, and is named as the short form`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        let arm = Platform(os: "linux", architecture: "arm64")
        try await agent.join(resources: AgentResources(emulated: [arm]))
        let build = try await farm.build(
            plan("one"), options: options { $0.platform = Platform(os: "linux", architecture: "arm64", variant: "v8") })
        #expect(build.status == .succeeded && build.platform == arm)
        #expect(await farm.engine.agents().first?.emulated == [arm])
        await farm.end()
    }

    @Test(arguments: [0.0, -1, 1e9]) func `processors that make no sense are refused`(cpus: Double) async throws {
        try await refused { $0.cpus = cpus }
    }

    @Test func `memory, priorities and labels that make no sense are refused`() async throws {
        try await refused { $0.memory = 1 }
        try await refused { $0.memory = -1 }
        try await refused { $0.priority = 4 }
        try await refused { $0.priority = .min }
        try await refused { $0.prefer = Dictionary(uniqueKeysWithValues: (0..<100).map { ("\($0)", "") }) }
    }

    private func refused(_ change: @escaping (inout BuildOptions) -> Void) async throws {
        let farm = try await EngineFarm()
        await #expect(throws: EngineError.self) { _ = try await farm.submit(plan("one"), options: options(change)) }
        await farm.end()
    }

    @Test func `what an agent says of itself is brought into its range`() async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        let platforms = (0..<1000).map { Platform(os: "linux", architecture: "a\($0)") }
        try await agent.join(
            resources: AgentResources(
                cpus: -5, memory: .max, stepCPUs: 1e300, withoutLimits: String(repeating: "x", count: 10_000), emulated: platforms))
        let shown = try #require(await farm.engine.agents().first)
        #expect(shown.cpus == 0 && shown.memory == 1 << 50 && shown.emulated.count == 16)
        await farm.end()
    }
}
