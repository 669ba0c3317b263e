import FarmAPI
import Glibc
import Testing

/// Locks of volumes in a farm of two agents that run one step each.
@Suite(
    .enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2, environment: ["FARM_SLOTS": "1", "FARM_LEASE": "4"]), .serialized,
    .timeLimit(.minutes(10)))
struct LockTests {
    let cluster: TestCluster
    let folder: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        folder = try TemporaryFolder()
    }

    /// A step with volumes, of a build of its own.
    private func submit(
        _ name: String, _ command: String, mounts: [String] = ["target=/cache,sharing=locked"], on agent: String? = nil, project: String
    ) throws -> Submitted {
        let context = "\(folder.root)/\(name)"
        let options = mounts.map { "--mount=type=cache,\($0)" }.joined(separator: " ")
        try folder.write("FROM busybox\nRUN \(options) \(command)\n", to: "\(name)/Dockerfile")
        let required = agent.map { ["--require", "name=\($0)"] } ?? []
        return try Submitted(
            ["submit", "--progress", "plain", "--no-cache", "--project", project] + required + [context], cluster: cluster,
            path: "\(context)/output")
    }

    private func succeeds(_ build: Submitted, sourceLocation: SourceLocation = #_sourceLocation) async -> CommandResult {
        let result = await build.result(within: .seconds(60))
        #expect(result.status == 0, "\(result.testDescription)", sourceLocation: sourceLocation)
        return result
    }

    /// Waits until the step's command has printed a line.
    private func prints(_ text: String, _ build: Submitted) async throws {
        try await eventually("'\(text)' is printed") { build.error.contains(" \(text)\n") }
    }

    /// Waits until the build says that its step waits for a lock.
    private func waits(_ build: Submitted) async throws {
        try await eventually("the step waits for the volume") { build.error.contains("waits for volume") }
    }

    /// Ends a build whose step would hold its locks for ever.
    private func cancel(_ build: Submitted) async throws {
        let cancelled = try await cluster.farm("cancel", try #require(build.build))
        #expect(cancelled.status == 0, "\(cancelled.testDescription)")
        #expect(await build.result(within: .seconds(30)).status == 130)
    }

    @Test func `who waits for a lock gets it in the order of coming, and holds no slot meanwhile`() async throws {
        defer { folder.remove() }
        let holder = try submit("holder", "echo has it; exec sleep 300", on: "agent-1", project: "order")
        try await prints("has it", holder)
        var waiting: [Submitted] = []
        for name in ["b", "c", "d"] {
            // All on one agent, which has one slot.
            let next = try submit(name, "echo \(name) >> /cache/order", on: "agent-2", project: "order")
            try await waits(next)
            waiting.append(next)
        }
        let other = try submit("other", "echo passed", mounts: [], on: "agent-2", project: "order")
        #expect(await succeeds(other).error.contains("passed"), "a farm without free locks goes on with other work")
        try await cancel(holder)
        for build in waiting { _ = await succeeds(build) }
        let looked = await succeeds(try submit("look", "echo $(cat /cache/order)", on: "agent-1", project: "order"))
        #expect(looked.error.contains(" b c d\n"), "\(looked.testDescription)")
    }

    @Test func `builds that want the same volumes in opposite order do not wait for each other for ever`() async throws {
        defer { folder.remove() }
        let command = "mkdir /a/held /b/held && sleep 0.1 && rmdir /a/held /b/held && echo x >> /a/runs && echo x >> /b/runs"
        let mounts = ["target=/a,sharing=locked", "target=/b,sharing=locked"]
        let builds = try (0..<6).map { number in
            try submit("\(number)", command, mounts: number % 2 == 0 ? mounts : mounts.reversed(), project: "opposite")
        }
        for build in builds { _ = await succeeds(build) }
        let looked = await succeeds(try submit("look", "cat /a/runs /b/runs | wc -l", mounts: mounts, project: "opposite"))
        #expect(looked.error.contains(" 12\n"), "\(looked.testDescription)")
    }

    @Test func `a lock of an agent that hangs is free when its lease ends, and what it wrote under it is not published`() async throws {
        defer { folder.remove() }
        let holder = try submit("holder", "echo half > /cache/half; echo has it; exec sleep 300", on: "agent-1", project: "dead")
        try await prints("has it", holder)
        let next = try submit("next", "test ! -e /cache/half && echo whole > /cache/whole", on: "agent-2", project: "dead")
        try await waits(next)
        let agent = try cluster.daemon("agent-1")
        kill(agent, SIGSTOP)
        defer { kill(agent, SIGCONT) }
        _ = await succeeds(next)
        try await cancel(holder)
        kill(agent, SIGCONT)
        let look = "test ! -e /cache/half && cat /cache/whole"
        let looked = await succeeds(try submit("look", look, on: "agent-1", project: "dead"))
        #expect(looked.error.contains(" whole\n"), "\(looked.testDescription)")
    }

    @Test func `private never waits: beside another user it is a copy that nobody else sees`() async throws {
        defer { folder.remove() }
        let mount = ["target=/cache,sharing=private"]
        _ = await succeeds(try submit("first", "echo first > /cache/file", mounts: mount, on: "agent-1", project: "private"))
        let holder = try submit(
            "holder", "cat /cache/file; echo has it; exec sleep 300", mounts: mount, on: "agent-1", project: "private")
        try await prints("has it", holder)
        let beside = await succeeds(
            try submit("beside", "cat /cache/file; echo copy > /cache/copy", mounts: mount, on: "agent-2", project: "private"))
        #expect(beside.error.contains(" first\n"), "\(beside.testDescription)")
        try await cancel(holder)
        _ = await succeeds(try submit("look", "test ! -e /cache/copy && cat /cache/file", on: "agent-2", project: "private"))
    }
}
