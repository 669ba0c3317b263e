import FarmAPI
import Glibc
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2), .timeLimit(.minutes(10)))
struct VolumeTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    private func run(_ command: String, on agent: String, project: String, options: String = "") async throws -> (BuildDescription, String)
    {
        let mount = "--mount=type=cache,target=/cache\(options)"
        try context.write("FROM busybox\nRUN \(mount) \(command)\n", to: "Dockerfile")
        let build = try await cluster.build(context, "--no-cache", "--require", "name=\(agent)", project: project)
        return (build, try await cluster.farm("logs", build.id).output)
    }

    private func received(_ build: BuildDescription) -> Int64 { build.stages.flatMap(\.steps).reduce(0) { $0 + $1.bytes.volumes } }

    @Test func `the cache follows the build, and only what changed moves`() async throws {
        defer { context.remove() }
        let fill = "for i in $(seq 1 200); do dd if=/dev/urandom of=/cache/file$i bs=4096 count=5 2>/dev/null; done; sha256sum /cache/file7"
        let (first, firstLog) = try await run(fill, on: "agent-1", project: "follow")
        #expect(received(first) == 0)
        let sum = try #require(firstLog.split(separator: " ").first { $0.count == 64 })
        let (second, secondLog) = try await run("sha256sum /cache/file7; echo changed > /cache/file8", on: "agent-2", project: "follow")
        #expect(secondLog.contains(sum))
        #expect(received(second) > 200 * 4096 * 5)
        let (third, thirdLog) = try await run("cat /cache/file8; ls /cache | wc -l", on: "agent-1", project: "follow")
        #expect(thirdLog.contains("changed") && thirdLog.contains("200"))
        #expect(received(third) > 0 && received(third) < 4096, "one small file changed, \(received(third)) bytes moved")
        let volume = try #require(try await cluster.volumes(of: "follow").first)
        #expect(volume.id == "/cache" && volume.files >= 200 && volume.generation == 2)
        #expect(Set(volume.holders.map(\.agent)) == ["agent-1", "agent-2"])
    }

    @Test func `a step that changes nothing makes no generation, and a removed file is gone on the other agent`() async throws {
        defer { context.remove() }
        _ = try await run("touch /cache/a /cache/b && mkdir /cache/d && touch /cache/d/x", on: "agent-1", project: "removal")
        _ = try await run("ls /cache", on: "agent-2", project: "removal")
        #expect(try await cluster.volumes(of: "removal").first?.generation == 1)
        _ = try await run("rm /cache/a && rm -r /cache/d && touch /cache/d", on: "agent-2", project: "removal")
        let (_, log) = try await run("ls -F /cache | tr '\\n' ' '", on: "agent-1", project: "removal")
        #expect(log.contains("b d ") && !log.contains("a b"), "\(log)")
    }

    @Test func `large files move as deltas`() async throws {
        defer { context.remove() }
        _ = try await run("dd if=/dev/urandom of=/cache/big bs=1M count=16 2>/dev/null", on: "agent-1", project: "delta")
        _ = try await run("true", on: "agent-2", project: "delta")
        let (_, log) = try await run(
            "printf changed | dd of=/cache/big bs=1 seek=5000000 conv=notrunc 2>/dev/null; sha256sum /cache/big", on: "agent-2",
            project: "delta")
        let sum = try #require(log.split(separator: " ").first { $0.count == 64 })
        let (back, backLog) = try await run("sha256sum /cache/big", on: "agent-1", project: "delta")
        #expect(backLog.contains(sum))
        #expect(received(back) > 0 && received(back) < 1 << 20, "\(received(back)) bytes moved")
    }

    @Test func `locked volumes are had by one step at a time in the whole cluster`() async throws {
        defer { context.remove() }
        let script = "mkdir /cache/held && sleep 1 && rmdir /cache/held && echo x >> /cache/runs"
        try context.write(
            """
            FROM busybox AS one
            RUN --mount=type=cache,target=/cache,sharing=locked \(script) && touch /one
            FROM busybox AS two
            RUN --mount=type=cache,target=/cache,sharing=locked \(script) && touch /two
            FROM busybox
            COPY --from=one /one /
            COPY --from=two /two /
            RUN --mount=type=cache,target=/cache,sharing=locked wc -l < /cache/runs
            """, to: "Dockerfile")
        let build = try await cluster.build(context, project: "locked")
        let logs = try await cluster.farm("logs", build.id)
        #expect(logs.output.contains(" 2\n"), "\(logs.testDescription)")
    }

    @Test func `a volume can be seeded with a folder of a stage or of the context, once`() async throws {
        defer { context.remove() }
        try context.write("of the context", to: "here/below/file")
        try context.write("elsewhere", to: "here/other")
        let mounts = """
            --mount=type=cache,target=/one,from=seed,source=/deep/down --mount=type=cache,target=/two,from=seed,source=/deep,sharing=locked
            """
        try context.write(
            """
            FROM busybox AS seed
            RUN mkdir -p /deep/down && echo of the stage > /deep/down/file && chmod 751 /deep/down
            FROM busybox
            RUN \(mounts) cat /one/file /two/down/file && test $(ls /one | wc -l) = 1 && echo changed > /one/file
            RUN \(mounts) cat /one/file /two/down/file
            """, to: "Dockerfile")
        let build = try await cluster.build(context, project: "sources")
        let log = try await cluster.farm("logs", build.id).output
        #expect(log.contains("of the stage") && log.contains("changed"), "\(log)")
    }

    @Test func `a volume can be seeded, owned and removed`() async throws {
        defer { context.remove() }
        try context.write("seed", to: "seed/file")
        try context.write(
            """
            FROM scratch AS seed
            COPY seed /
            FROM busybox
            USER app
            RUN --mount=type=cache,target=/cache,from=seed,uid=1000,gid=1000,mode=0700 cat /cache/file && touch /cache/mine && stat -c '%u:%g %a' /cache
            """, to: "Dockerfile")
        let build = try await cluster.build(context, project: "seeded")
        let log = try await cluster.farm("logs", build.id).output
        #expect(log.contains("seed") && log.contains("1000:1000 700"), "\(log)")
        let volume = try #require(try await cluster.volumes(of: "seeded").first)
        let removed = try await cluster.farm("volumes", "rm", "seeded", volume.id)
        #expect(removed.status == 0, "\(removed.testDescription)")
        #expect(try await cluster.volumes(of: "seeded").isEmpty)
        let missing = try await cluster.farm("volumes", "rm", "seeded", volume.id)
        #expect(missing.status == 1)
    }
}
