import FarmAPI
import Glibc
import Testing

/// Two agents that run one step each, and nothing else: what shall run at the same time has both.
@Suite(
    .enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2, environment: ["FARM_SLOTS": "1"]), .serialized, .timeLimit(.minutes(10))
)
struct TogetherTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    /// Two stages whose steps end only when both have begun, however busy the machine is: each waits for the other on a port of its own.
    ///
    /// - Parameter options: of both steps, before their commands.
    /// - Returns: the lines of the stages `left` and `right`; each leaves a file of its name.
    private func together(_ options: String = "", _ command: (String) -> String) throws -> String {
        let ports = ["left": try FaultProxy.freePort(), "right": try FaultProxy.freePort()]
        return [("left", "right"), ("right", "left")].map { own, other in
            """
            FROM busybox AS \(own)
            RUN --network=host \(options) \(command(own)) && (nc -l -p \(ports[own] ?? 0) </dev/null >/dev/null &) \
                && i=0 && until nc -w 1 127.0.0.1 \(ports[other] ?? 0) </dev/null 2>/dev/null; do i=$((i + 1)); test $i -lt 600 || exit 1; sleep 0.1; done \
                && while netstat -ltn | grep -q ':\(ports[own] ?? 0) '; do sleep 0.1; done && echo \(own) > /\(own)
            """
        }.joined(separator: "\n")
    }

    @Test func `independent stages run on different agents at the same time, and a third collects them`() async throws {
        defer { context.remove() }
        try context.write(
            """
            \(try together { "echo \($0) begins" })
            FROM busybox
            COPY --from=left /left /
            COPY --from=right /right /
            RUN cat /left /right
            """, to: "Dockerfile")
        let build = try await cluster.build(context, project: "parallel")
        let left = try #require(build.stages.first { $0.name == "left" })
        let right = try #require(build.stages.first { $0.name == "right" })
        #expect(left.agent != right.agent)
        let (a, b) = (try #require(left.steps.first), try #require(right.steps.first))
        #expect(try #require(a.startedAt) < #require(b.finishedAt) && #require(b.startedAt) < #require(a.finishedAt))
        let logs = try await cluster.farm("logs", build.id)
        #expect(logs.output.contains("left\n") && logs.output.contains("right\n"))
    }

    @Test func `what two agents add to a shared volume at the same time is kept of both`() async throws {
        defer { context.remove() }
        try context.write(
            """
            \(try together("--mount=type=cache,target=/cache") { "touch /cache/\($0)" })
            FROM busybox
            COPY --from=left /left /
            COPY --from=right /right /
            RUN --mount=type=cache,target=/cache ls /cache/left /cache/right
            """, to: "Dockerfile")
        let build = try await cluster.build(context, project: "shared")
        #expect(Set(build.stages.prefix(2).compactMap(\.agent)).count == 2)
    }
}
