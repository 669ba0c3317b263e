import FarmAPI
import Glibc
import Testing

/// What clients see of a coordinator that is killed under them.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 1), .serialized, .timeLimit(.minutes(10)))
struct ReconnectionTests {
    /// Printed ten a second: the kills fall into the middle.
    private static let lineCount = 60

    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    @Test func `who follows a build gets every line once, though the coordinator is killed twice`() async throws {
        defer { context.remove() }
        try context.write(
            "FROM busybox\nRUN for i in $(seq 1 \(Self.lineCount)); do echo \"number $i end\"; sleep 0.1; done\n", to: "Dockerfile")
        let (cluster, root) = (cluster, context.root)
        let submitted = Task { try await cluster.farm("submit", "--progress", "plain", "--project", "lines", root) }
        var id = ""
        try await eventually("the build is there") {
            id = try await cluster.newestBuild() ?? ""
            return !id.isEmpty
        }
        let build = id
        let followed = Task { try await cluster.farm("logs", "-f", build) }
        for line in [10, 35] {
            try await eventually("line \(line) is there, and the coordinator with it") {
                let log = try await cluster.farm("logs", build)
                return log.status == 0 && log.output.contains("number \(line) end")
            }
            kill(try cluster.daemon("coordinator"), SIGKILL)
        }
        let expected = (1...Self.lineCount).map { "number \($0) end" }
        let submission = try await submitted.value
        #expect(submission.status == 0, "\(submission.testDescription)")
        #expect(Self.lines(of: submission.error) == expected, "\(submission.error)")
        let log = try await followed.value
        #expect(log.status == 0, "\(log.testDescription)")
        #expect(Self.lines(of: log.output) == expected, "\(log.output)")
        #expect(log.error.contains("connecting again"), "a user is told why nothing comes: \(log.error)")
        let shown = try await cluster.show(build)
        #expect(shown.stages[0].attempts == 1, "the running step did not notice")
    }

    @Test func `a laptop that disappears in the middle of a build cancels nothing`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN echo begun; sleep 2; echo through\n", to: "Dockerfile")
        let (cluster, root) = (cluster, context.root)
        let submitted = Task { try await cluster.farm("submit", "--progress", "plain", "--project", "laptop", root) }
        var build = ""
        try await eventually("the step runs") {
            build = try await cluster.newestBuild() ?? ""
            guard !build.isEmpty, try await cluster.show(build).project == "laptop" else { return false }
            return try await cluster.farm("logs", build).output.contains("begun")
        }
        let client = try await Command.run(["pgrep", "-f", "farm submit .*\(root)$"])
        let process = try #require(pid_t(client.line), "\(client.testDescription)")
        kill(process, SIGKILL)
        #expect(try await submitted.value.status != 0)
        let id = build
        try await eventually("the build has ended") { try await cluster.show(id).finishedAt != nil }
        #expect(try await cluster.show(id).status == .succeeded)
        #expect(try await cluster.farm("logs", id).output.contains("through"))
    }

    private static func lines(of text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in line.firstRange(of: "number ").map { String(line[$0.lowerBound...]) } }
            .filter { $0.hasSuffix(" end") && !$0.contains("$") }
    }

    @Test func `a build that is submitted while the coordinator is killed is there once`() async throws {
        defer { context.remove() }
        // Files enough that the kill may fall into the upload of the directories, wherever exactly it falls.
        for number in 0..<2000 { try context.write("\(number)\n", to: "files/\(number % 50)/\(number)") }
        try context.write("FROM busybox\nCOPY files /files\nRUN test \"$(find /files -type f | wc -l)\" = 2000\n", to: "Dockerfile")
        let (cluster, root) = (cluster, context.root)
        let submitted = Task { try await cluster.farm("submit", "--progress", "plain", "--project", "killed", root) }
        try await eventually("the build is there") {
            let list = try await cluster.farm("builds", "--json")
            guard list.status == 0 else { return false }
            return try FarmJSON.decode([BuildDescription].self, from: Array(list.output.utf8)).contains { $0.project == "killed" }
        }
        kill(try cluster.daemon("coordinator"), SIGKILL)
        let result = try await submitted.value
        #expect(result.status == 0, "\(result.testDescription)")
        let list = try await cluster.farm("builds", "--json")
        let builds = try FarmJSON.decode([BuildDescription].self, from: Array(list.output.utf8)).filter { $0.project == "killed" }
        #expect(builds.map(\.status) == [.succeeded])
    }
}
