import FarmAPI
import Glibc
import Testing

/// Backup, loss and restoration of a farm whose agents go on.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2), .serialized, .timeLimit(.minutes(10)))
struct RestorationTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    private func coordinator(_ arguments: String...) async throws -> CommandResult {
        try await Command.run(["\(Command.programs)/farm-coordinator"] + arguments)
    }

    private func dockerfile(_ line: String) throws {
        try context.write("FROM busybox\nRUN --mount=type=cache,target=/cache \(line)\n", to: "Dockerfile")
    }

    private func waitForAgents() async throws {
        try await eventually("both agents are back") {
            let agents = try await cluster.farm("agents", "--json")
            guard agents.status == 0 else { return false }
            return try FarmJSON.decode([AgentDescription].self, from: Array(agents.output.utf8)).count { $0.state == .ready } == 2
        }
    }

    @Test func `a farm that is restored from an older backup goes on, and its caches with it`() async throws {
        defer { context.remove() }
        let data = "\(cluster.data)/coordinator"
        try dockerfile("echo one > /cache/file")
        let first = try await cluster.build(context, "--require", "name=agent-1", project: "restored")
        let backup = context.path("backup")
        let made = try await coordinator("backup", "--data", data, "--to", backup)
        #expect(made.status == 0, "\(made.testDescription)")
        #expect(try await coordinator("check", "--data", data).status == 0)
        // What the backup does not know: a newer generation, on the other agent; a build; a volume of another project.
        try dockerfile("cat /cache/file && echo two > /cache/file")
        let lost = try await cluster.build(context, "--require", "name=agent-2", project: "restored")
        #expect(try await cluster.volumes(of: "restored").map(\.generation) == [2])
        try context.write("FROM busybox\nRUN --mount=type=cache,target=/cache echo other > /cache/file\n", to: "other/Dockerfile")
        let other = try await cluster.farm("submit", "--project", "other", context.path("other"))
        #expect(other.status == 0, "\(other.testDescription)")

        // The disk is lost, and what was saved is put in its place. The file's place is taken while no coordinator runs.
        let restored = context.path("restored")
        let said = try await coordinator("restore", "--from", backup, "--data", restored)
        #expect(said.status == 0, "\(said.testDescription)")
        let process = try cluster.daemon("coordinator")
        kill(process, SIGSTOP)
        #expect(rename(data, context.path("lost")) == 0)
        #expect(rename(restored, data) == 0)
        kill(process, SIGKILL)
        try await waitForAgents()

        #expect(try await cluster.show(first.id).status == .succeeded)
        #expect(try await cluster.farm("show", lost.id).status == 1, "the backup is older than that build")
        try await eventually("the newest generations count, wherever they are") {
            let own = try await cluster.volumes(of: "restored"), others = try await cluster.volumes(of: "other")
            return own.map(\.generation) == [2] && others.count == 1
        }
        try dockerfile("test \"$(cat /cache/file)\" = two && echo three > /cache/file")
        let next = try await cluster.build(context, "--require", "name=agent-1", project: "restored")
        #expect(next.status == .succeeded)
        let generation = try #require(try await cluster.volumes(of: "restored").first?.generation)
        #expect(generation > 1_000_000, "no number is given twice: \(generation)")
        try dockerfile("test \"$(cat /cache/file)\" = three")
        #expect(try await cluster.build(context, "--require", "name=agent-2", project: "restored").status == .succeeded)
        #expect(try await coordinator("check", "--data", data).status == 0)
    }
}
