import FarmAPI
import Glibc
import Testing

@Suite(
    .enabled(if: geteuid() == 0, "needs root"),
    .cluster(agents: 2, environment: ["FARM_SLOTS": "4", "FARM_CPUS": "2", "FARM_MEMORY": "1G"]), .timeLimit(.minutes(10)))
struct ResourceTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    private func agents() async throws -> [AgentDescription] {
        let listed = try await cluster.farm("agents", "--json")
        return try FarmJSON.decode([AgentDescription].self, from: Array(listed.output.utf8))
    }

    /// False on a machine whose cgroups hold nothing to limits; there it is seen that the build is told so.
    private func canReserve() async throws -> Bool {
        if try await agents().allSatisfy({ $0.memory > 0 }) { return true }
        let id = try await submit("RUN true", "--memory", "64m")
        try await eventually("the build waits, and says why") {
            try await cluster.show(id).stages.first?.placement?.contains("can't hold steps to limits") == true
        }
        _ = try await cluster.farm("cancel", id)
        return false
    }

    private func submit(_ step: String, _ options: String...) async throws -> String {
        try context.write("FROM busybox\n\(step)\n", to: "Dockerfile")
        let submitted = try await cluster.farm(["submit", "--project", "resources", "--detach"] + options + [context.root])
        try #require(submitted.status == 0, "\(submitted.testDescription)")
        return submitted.line
    }

    @Test func `a step that goes over --memory fails, and says so`() async throws {
        defer { context.remove() }
        guard try await canReserve() else { return }
        try context.write("FROM busybox\nRUN echo begun; a=x; while :; do a=$a$a; done\n", to: "Dockerfile")
        let result = try await cluster.farm("submit", "--project", "greedy", "--progress", "plain", "--memory", "64m", context.root)
        #expect(result.status == 1)
        #expect(result.error.contains("exit code: 137: it went over its memory, 64 MiB by --memory"), "\(result.error)")
        let id = try #require(try await cluster.newestBuild())
        #expect(try await cluster.show(id).stages.first?.attempts == 1, "it would need as much elsewhere")
    }

    @Test func `a step has the processors of --cpus`() async throws {
        defer { context.remove() }
        guard try await canReserve() else { return }
        try context.write(
            "FROM busybox\nRUN cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null; true\n", to: "Dockerfile")
        let result = try await cluster.farm("submit", "--project", "cpus", "--progress", "plain", "--cpus", "0.5", context.root)
        #expect(result.status == 0 && result.error.contains(" 50000"), "\(result.testDescription)")
    }

    @Test func `memory that is reserved is given once, and the next one waits for it`() async throws {
        defer { context.remove() }
        guard try await canReserve() else { return }
        let sleeping = "RUN exec sleep 4327"
        let holding = [
            try await submit("\(sleeping) # 1", "--memory", "600m", "--priority", "low"),
            try await submit("\(sleeping) # 2", "--memory", "600m"),
        ]
        try await eventually("one runs on each agent") {
            try await agents().map(\.reservedMemory) == [600 << 20, 600 << 20]
        }
        let table = try await cluster.farm("agents")
        #expect(table.output.contains("600 MiB/1 GiB") && table.output.contains("0/2"), "\(table.output)")
        let small = try await submit("RUN echo small", "--memory", "64m")
        try await eventually("what fits beside them runs") { try await cluster.show(small).status == .succeeded }
        let third = try await submit("RUN echo third", "--memory", "500m")
        try await eventually("the third waits") { try await cluster.show(third).stages.first?.placement?.isEmpty == false }
        #expect(try await cluster.show(third).stages.first?.status == .queued)
        let shown = try await cluster.farm("show", holding[0])
        #expect(shown.output.contains("resources  600 MiB of memory for each stage\npriority   low\n"), "\(shown.output)")
        _ = try await cluster.farm("cancel", holding[0])
        try await eventually("the third has its memory") { try await cluster.show(third).status == .succeeded }
        _ = try await cluster.farm("cancel", holding[1])
        try await eventually("all is given back") { try await agents().allSatisfy { $0.reservedMemory == 0 } }
    }

    @Test func `a preferred label decides between agents, and what is too large is said at once`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN echo prefer\n", to: "Dockerfile")
        let build = try await cluster.build(context, "--prefer", "name=agent-2", project: "prefer")
        #expect(build.stages.last?.agent == "agent-2" && build.prefer == ["name": "agent-2"])
        guard try await canReserve() else { return }
        let id = try await submit("RUN true", "--memory", "2g")
        try await eventually("the build says what there is") {
            try await cluster.show(id).stages.first?.placement?.contains("(agent-1: 2 CPUs and 1 GiB of memory, agent-2:") == true
        }
        _ = try await cluster.farm("cancel", id)
    }

    @Test func `an agent that can't emulate what it was set to does not start, and says what to do`() async throws {
        defer { context.remove() }
        let agent = try #require(TemporaryFolder.read("\(cluster.data)/agent-1.yaml"))
        let settings = agent.split(separator: "\n").filter { !$0.hasPrefix("data:") } + ["data: '\(context.path("data"))'"]
        let file = try context.write(settings.joined(separator: "\n") + "\n", to: "agent.yaml")
        let result = try await Command.run(
            ["\(Command.programs)/farm-agent", "--config", file, "--emulate", "linux/vax"], timeLimit: .seconds(30))
        #expect(result.status == 1)
        #expect(result.error.contains("linux/vax") && result.error.contains("emulate"), "\(result.error)")
    }
}
