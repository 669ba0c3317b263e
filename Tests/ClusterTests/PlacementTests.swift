import FarmAPI
import Glibc
import Testing

/// Two agents; one failure of an agent is enough to set it aside.
@Suite(
    .enabled(if: geteuid() == 0, "needs root"),
    .cluster(agents: 2, environment: ["FARM_SET_ASIDE_FAILURES": "1"]), .serialized, .timeLimit(.minutes(10)))
struct PlacementTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    private func agents() async throws -> [AgentDescription] {
        let listed = try await cluster.farm("agents", "--json")
        guard listed.status == 0 else { return [] }
        return try FarmJSON.decode([AgentDescription].self, from: Array(listed.output.utf8))
    }

    @Test func `a layer that moves is told as the reason, and how fast it came is known afterwards`() async throws {
        defer { context.remove() }
        let dockerfile = "FROM busybox\nRUN dd if=/dev/urandom of=/large bs=1M count=12 && echo made\n"
        try context.write(dockerfile, to: "Dockerfile")
        let first = try await cluster.build(context, "--require", "name=agent-1", project: "moves")
        #expect(first.stages[0].decision?.compared == 1)
        try context.write(dockerfile + "RUN wc -c /large\n", to: "Dockerfile")
        let second = try await cluster.build(context, "--require", "name=agent-2", project: "moves")
        let moved = try #require(second.stages[0].decision?.candidates.first)
        #expect(moved.agent == "agent-2" && moved.bytes.layers >= 12 << 20)
        try context.write(dockerfile + "RUN wc -c /large && echo again\n", to: "Dockerfile")
        let free = try await cluster.build(context, project: "moves")
        let decision = try #require(free.stages[0].decision)
        #expect(decision.compared == 2 && decision.usual?.runs == 2)
        #expect(decision.agent == free.stages[0].agent && decision.candidates.map(\.sum) == decision.candidates.map(\.sum).sorted())
        let text = try await cluster.farm("show", free.id).output
        #expect(text.contains("placed: on \(free.stages[0].agent ?? "?"), the least sum of 2 agents"))
        #expect(text.contains("TRANSFER"))
        try await eventually("agent-2 has told how fast it received") {
            try await agents().first { $0.name == "agent-2" }?.receives?.contains { $0.from == "agent-1" && $0.bytesPerSecond > 0 } ?? false
        }
    }

    @Test func `an agent that dies is set aside, the build ends elsewhere, and resume brings it back`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN sleep 3 && echo survived\n", to: "Dockerfile")
        let (cluster, root) = (cluster, context.root)
        let submitted = Task { try await cluster.farm("submit", "--progress", "plain", "--project", "dies", root) }
        var lost: String?
        try await eventually("the step runs") {
            guard let id = try await cluster.newestBuild() else { return false }
            let shown = try await cluster.show(id)
            guard shown.project == "dies", shown.stages.first?.steps.first?.status == .running else { return false }
            lost = shown.stages[0].agent
            return lost != nil
        }
        let agent = try #require(lost)
        kill(try cluster.daemon(agent), SIGKILL)
        let result = try await submitted.value
        #expect(result.status == 0 && result.error.contains("survived"), "\(result.testDescription)")
        try await eventually("it is back, and set aside") { try await agents().first { $0.name == agent }?.state == .setAside }
        let listed = try await cluster.farm("agents").output
        #expect(listed.contains("\(agent) is set aside for another"), "\(listed)")
        for number in 1...2 {
            try context.write("FROM busybox\nRUN echo \(number)\n", to: "Dockerfile")
            #expect(try await cluster.build(context, project: "others").stages[0].agent != agent)
        }
        #expect(try await cluster.farm("resume", agent).status == 0)
        #expect(try await agents().allSatisfy { $0.state == .ready && $0.setAside == nil })
        try context.write("FROM busybox\nRUN echo back\n", to: "Dockerfile")
        #expect(try await cluster.build(context, "--require", "name=\(agent)", project: "others").stages[0].agent == agent)
    }
}
