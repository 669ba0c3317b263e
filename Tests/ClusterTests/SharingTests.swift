import FarmAPI
import Glibc
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2), .timeLimit(.minutes(5)))
struct SharingTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    /// A step that counts its runs in a cache and waits there until ``letGo(_:on:)``.
    /// - Parameter project: builds of several projects would share it too, were it the same.
    private func dockerfile(_ project: String) -> String {
        """
        FROM busybox
        RUN --mount=type=cache,target=/c echo \(project) >> /c/runs; echo it has begun; while [ ! -e /c/go ]; do sleep 0.1; done
        RUN cat /proc/sys/kernel/random/uuid > /id
        """
    }

    private func submit(_ project: String, _ options: String...) -> Task<CommandResult, any Error> {
        let (cluster, root) = (cluster, context.root)
        return Task { try await cluster.farm(["submit", "--progress", "plain", "--project", project] + options + [root]) }
    }

    /// Waits for a build of the project beside those that are known, whose first step runs, here or elsewhere.
    private func runningBuild(of project: String, besides known: [String] = []) async throws -> BuildDescription {
        var found: BuildDescription?
        try await eventually("a build of \(project) runs its step") {
            let list = try await cluster.farm("builds", "--json")
            for build in try FarmJSON.decode([BuildDescription].self, from: Array(list.output.utf8))
            where build.project == project && !known.contains(build.id) {
                let shown = try await cluster.show(build.id)
                if shown.stages.first?.steps.first?.status == .running { found = shown }
            }
            return found != nil
        }
        return try #require(found)
    }

    /// Ends the wait: steps of one agent that use a volume at a time see one mount.
    private func letGo(_ project: String, on agent: String?) async throws {
        let other = try TemporaryFolder()
        defer { other.remove() }
        try other.write("FROM busybox\nRUN --mount=type=cache,target=/c touch /c/go; : \(project)\n", to: "Dockerfile")
        _ = try await cluster.build(other, "--require", "name=\(try #require(agent))", project: project)
    }

    /// How often the step ran.
    private func runs(_ project: String) async throws -> Int {
        let other = try TemporaryFolder()
        defer { other.remove() }
        let count = "echo \"it ran $(wc -l < /c/runs) times in \(project)\""
        try other.write("FROM busybox\nRUN --mount=type=cache,target=/c \(count)\n", to: "Dockerfile")
        let result = try await cluster.farm("submit", "--progress", "plain", "--project", project, other.root)
        let words = result.error.split { $0 == " " || $0 == "\n" }
        // The command itself is shown too.
        let counts = zip(words, words.dropFirst()).compactMap { $0 == "ran" ? Int($1) : nil }
        return try #require(counts.first, "\(result.error)")
    }

    @Test func `equal builds at once run their step once, and both have its output and one image`() async throws {
        defer { context.remove() }
        try context.write(dockerfile("both"), to: "Dockerfile")
        let first = submit("both")
        let runner = try await runningBuild(of: "both")
        let second = submit("both")
        let waiter = try await runningBuild(of: "both", besides: [runner.id])
        #expect(waiter.stages[0].placement?.contains(runner.id) == true, "\(waiter.stages[0].placement ?? "")")
        try await letGo("both", on: runner.stages[0].agent)
        let (a, b) = (try await first.value, try await second.value)
        try #require(a.status == 0 && b.status == 0, "\(a.testDescription)\n\(b.testDescription)")
        #expect(a.line == b.line)
        #expect(a.error.contains("it has begun") && b.error.contains("it has begun"))
        #expect(b.error.contains("runs in build \(runner.id) already"), "\(b.error)")
        #expect(try await runs("both") == 1)
    }

    @Test func `a step goes on for the second build when the first is cancelled, and nobody runs it again`() async throws {
        defer { context.remove() }
        try context.write(dockerfile("handed"), to: "Dockerfile")
        let first = submit("handed")
        let runner = try await runningBuild(of: "handed")
        let second = submit("handed")
        _ = try await runningBuild(of: "handed", besides: [runner.id])
        #expect(try await cluster.farm("cancel", runner.id).status == 0)
        #expect(try await first.value.status == 130)
        try await letGo("handed", on: runner.stages[0].agent)
        let result = try await second.value
        #expect(result.status == 0, "\(result.testDescription)")
        #expect(try await runs("handed") == 1)
        // The next build finds it whole.
        let again = try await cluster.build(context, project: "handed")
        #expect(again.image?.digest.description == result.line)
        #expect(again.stages[0].steps.allSatisfy { $0.cached })
    }
}
