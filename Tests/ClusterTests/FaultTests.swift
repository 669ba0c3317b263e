import FarmAPI
import Glibc
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2), .serialized, .timeLimit(.minutes(10)))
struct FaultTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    private func submitInBackground(_ project: String, _ options: String...) -> Task<CommandResult, any Error> {
        let (cluster, root) = (cluster, context.root)
        return Task { try await cluster.farm(["submit", "--progress", "plain", "--project", project] + options + [root]) }
    }

    private func waitForStep(of project: String) async throws -> BuildDescription {
        var found: BuildDescription?
        try await eventually("a step of \(project) runs") {
            guard let id = try await cluster.newestBuild() else { return false }
            let newest = try await cluster.show(id)
            guard newest.project == project, newest.stages.contains(where: { $0.steps.contains { $0.status == .running } }) else {
                return false
            }
            found = newest
            return true
        }
        return try #require(found)
    }

    @Test func `a coordinator that is killed in the middle of a build comes back, and the build ends well`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done\nRUN echo after\n", to: "Dockerfile")
        let submitted = submitInBackground("restart")
        let build = try await waitForStep(of: "restart")
        kill(try cluster.daemon("coordinator"), SIGKILL)
        let result = try await submitted.value
        #expect(result.status == 0, "\(result.testDescription)")
        for line in 1...6 { #expect(result.error.contains("line \(line)\n"), "\(result.error)") }
        let shown = try await cluster.show(build.id)
        #expect(shown.status == .succeeded)
        #expect(shown.stages[0].attempts == 1, "the running step did not notice")
    }

    @Test func `an agent that dies has its stage run elsewhere`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN sleep 3 && echo survived\n", to: "Dockerfile")
        let submitted = submitInBackground("agentloss")
        let build = try await waitForStep(of: "agentloss")
        let lost = try #require(build.stages[0].agent)
        kill(try cluster.daemon(lost), SIGKILL)
        let result = try await submitted.value
        #expect(result.status == 0, "\(result.testDescription)")
        #expect(result.error.contains("survived"))
        let shown = try await cluster.show(build.id)
        #expect(shown.stages[0].attempts == 2)
        try await eventually("the agent is back") {
            let agents = try await cluster.farm("agents", "--json")
            return try FarmJSON.decode([AgentDescription].self, from: Array(agents.output.utf8)).allSatisfy { $0.state == .ready }
        }
    }

    @Test func `builds go on with what they had after a restart of everything`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN --mount=type=cache,target=/cache echo kept > /cache/file\n", to: "Dockerfile")
        let before = try await cluster.build(context, project: "kept")
        for daemon in ["agent-1", "agent-2", "coordinator"] { kill(try cluster.daemon(daemon), SIGKILL) }
        try await eventually("everything is back") {
            let agents = try await cluster.farm("agents", "--json")
            guard agents.status == 0 else { return false }
            let list = try FarmJSON.decode([AgentDescription].self, from: Array(agents.output.utf8))
            return list.count == 2 && list.allSatisfy { $0.state == .ready }
        }
        let after = try await cluster.build(context, project: "kept")
        #expect(after.image?.digest == before.image?.digest)
        #expect(after.stages[0].steps.allSatisfy { $0.cached })
        #expect(try await cluster.volumes(of: "kept").first?.holders.isEmpty == false)
    }

    @Test func `a drained agent gets nothing new`() async throws {
        defer { context.remove() }
        #expect(try await cluster.farm("drain", "agent-1").status == 0)
        for number in 1...3 {
            try context.write("FROM busybox\nRUN echo \(number)\n", to: "Dockerfile")
            #expect(try await cluster.build(context, project: "drain").stages[0].agent == "agent-2")
        }
        #expect(try await cluster.farm("resume", "agent-1").status == 0)
        #expect(try await cluster.farm("drain", "agent-7").status == 1)
    }
}
