import FarmAPI
import Glibc
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2), .timeLimit(.minutes(10)))
struct BuildTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    private func steps(_ build: BuildDescription) -> [BuildDescription.Step] { build.stages.flatMap(\.steps) }

    @Test func `a Dockerfile becomes an image, and the second time nothing runs`() async throws {
        defer { context.remove() }
        try context.write("hello\n", to: "greeting.txt")
        try context.write(
            """
            FROM busybox
            WORKDIR /app
            COPY greeting.txt .
            RUN cat greeting.txt > copy.txt && echo made
            CMD ["cat", "/app/copy.txt"]
            """, to: "Dockerfile")
        let first = try await cluster.build(context, project: "first")
        #expect(first.status == .succeeded)
        #expect(steps(first).allSatisfy { !$0.cached && $0.status == .succeeded })
        let second = try await cluster.build(context, project: "first")
        #expect(steps(second).allSatisfy { $0.cached })
        #expect(second.stages.allSatisfy { $0.agent == nil }, "no agent was asked")
        #expect(second.image?.digest == first.image?.digest)
        #expect(steps(second).allSatisfy { $0.bytes == ReceivedBytes() })
    }

    @Test func `a changed file runs again only what reads it`() async throws {
        defer { context.remove() }
        try context.write("1", to: "one/file")
        try context.write("2", to: "two/file")
        try context.write(
            """
            FROM busybox AS one
            COPY one /one
            RUN cat /one/file > /result
            FROM busybox AS two
            RUN --mount=type=bind,source=two,target=/src cat /src/file > /result
            FROM scratch
            COPY --from=one /result /one
            COPY --from=two /result /two
            """, to: "Dockerfile")
        _ = try await cluster.build(context, project: "readers")
        try context.write("other", to: "two/file")
        try context.write("unread", to: "three/file")
        let second = try await cluster.build(context, project: "readers")
        let one = try #require(second.stages.first { $0.name == "one" })
        let two = try #require(second.stages.first { $0.name == "two" })
        #expect(one.steps.allSatisfy { $0.cached })
        #expect(!two.steps.contains { $0.cached })
        let last = try #require(second.stages.last)
        #expect(last.steps.map(\.cached) == [true, false])
    }

    @Test func `a changed file that COPY leaves out runs nothing again`() async throws {
        defer { context.remove() }
        try context.write("1", to: "source/file")
        try context.write("2", to: "source/notes.log")
        try context.write(
            """
            FROM busybox AS one
            COPY --exclude=*.log source /source
            RUN ls /source > /result && test ! -e /source/notes.log
            FROM scratch
            COPY --from=one --exclude=*.txt /source /
            """, to: "Dockerfile")
        let first = try await cluster.build(context, project: "excluding")
        #expect(first.status == .succeeded)
        try context.write("changed", to: "source/notes.log")
        let second = try await cluster.build(context, project: "excluding")
        #expect(steps(second).allSatisfy { $0.cached })
        #expect(second.stages.allSatisfy { $0.agent == nil }, "the digest of what the stage gives was remembered")
        try context.write("3", to: "source/other")
        #expect(steps(try await cluster.build(context, project: "excluding")).allSatisfy { !$0.cached })
    }

    @Test func `--no-cache runs everything anew and keeps the volumes`() async throws {
        defer { context.remove() }
        try context.write(
            """
            FROM busybox
            RUN --mount=type=cache,target=/cache echo x >> /cache/runs && wc -l < /cache/runs
            """, to: "Dockerfile")
        _ = try await cluster.build(context, project: "nocache")
        let again = try await cluster.build(context, "--no-cache", project: "nocache")
        #expect(steps(again).allSatisfy { !$0.cached })
        let logs = try await cluster.farm("logs", again.id)
        #expect(logs.output.contains("#1 2\n"), "\(logs.testDescription)")
        let empty = try await cluster.build(context, "--no-cache", "--no-cache-mounts", project: "nocache")
        let emptyLogs = try await cluster.farm("logs", empty.id)
        #expect(emptyLogs.output.contains("#1 1\n"), "\(emptyLogs.testDescription)")
    }

    @Test(arguments: ["agent-1", "agent-2"])
    func `--require names the agent`(agent: String) async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN echo \(agent) > /where\n", to: "Dockerfile")
        let build = try await cluster.build(context, "--require", "name=\(agent)", project: "require")
        #expect(build.stages.map(\.agent) == [agent])
    }

    @Test func `--target, --build-arg and the context's ignore file count`() async throws {
        defer { context.remove() }
        try context.write("secret", to: "secret.txt")
        try context.write("*.txt\n", to: ".dockerignore")
        try context.write(
            """
            FROM busybox AS wanted
            ARG WORD=none
            COPY . /all
            RUN echo "word is $WORD" && ls /all
            FROM busybox AS unwanted
            RUN false
            """, to: "Dockerfile")
        let build = try await cluster.build(context, "--target", "wanted", "--build-arg", "WORD=given", project: "target")
        let logs = try await cluster.farm("logs", build.id)
        #expect(logs.output.contains("word is given"))
        #expect(!logs.output.contains("secret.txt"))
    }

    @Test func `a step sees its mounts, user, place and network, and no more of the agent`() async throws {
        defer { context.remove() }
        try context.write("from the context", to: "file")
        try context.write(
            """
            FROM busybox
            ENV GREETING=hello
            WORKDIR /work
            RUN --mount=type=bind,source=file,target=/mnt/file --mount=type=tmpfs,target=/scratch,size=1m \\
                cat /mnt/file && echo && ! echo x 2>/dev/null > /mnt/file && touch /scratch/here && pwd && echo $GREETING && hostname
            RUN --network=none ! ip route | grep default && ip link show lo
            USER app
            RUN id -u && ! mount -t tmpfs none /tmp 2>/dev/null && ! ls /proc/1/root/home 2>/dev/null
            """, to: "Dockerfile")
        let build = try await cluster.build(context, project: "sees")
        let logs = try await cluster.farm("logs", build.id).output
        for expected in ["from the context", "/work", "hello", "1000"] { #expect(logs.contains(expected), "\(expected) in \(logs)") }
    }

    @Test func `mounts leave no trace in the image`() async throws {
        defer { context.remove() }
        try context.write("x", to: "file")
        try context.write(
            """
            FROM busybox
            RUN --mount=type=cache,target=/new/deep/cache --mount=type=tmpfs,target=/fresh --mount=type=bind,source=file,target=/etc/file \\
                touch /new/deep/cache/x /fresh/y
            """, to: "Dockerfile")
        let output = context.path("out")
        _ = try await cluster.build(context, "-o", output, project: "traces")
        for path in ["new", "fresh", "etc/file", "etc/resolv.conf", "etc/hosts", "proc", "sys", "dev"] {
            #expect(access("\(output)/\(path)", F_OK) != 0, "\(path) was not in the base image")
        }
        #expect(access("\(output)/bin/busybox", F_OK) == 0)
    }

    @Test func `names that are not UTF-8 and links that lead outside are kept as they are`() async throws {
        defer { context.remove() }
        let folder = context.path("files")
        mkdir(folder, 0o755)
        let name: [CChar] = Array("\(folder)/".utf8CString.dropLast()) + [-1, -2, 0x61, 0]
        let descriptor = open(name, O_CREAT | O_WRONLY, 0o644)
        #expect(descriptor >= 0)
        close(descriptor)
        symlink("/etc/shadow", "\(folder)/outside")
        symlink("../../../../etc", "\(folder)/up")
        try context.write(
            """
            FROM busybox
            COPY files /files
            RUN readlink /files/outside && readlink /files/up && ls /files | wc -l
            """, to: "Dockerfile")
        let build = try await cluster.build(context, project: "names")
        let logs = try await cluster.farm("logs", build.id).output
        #expect(logs.contains("/etc/shadow\n") && logs.contains("../../../../etc\n"), "\(logs)")
        #expect(logs.contains(" 3\n") || logs.contains("#3 3\n"), "\(logs)")
    }

    @Test func `a Dockerfile may come from standard input, and --detach leaves the build to the farm`() async throws {
        defer { context.remove() }
        let submitted = try await cluster.farm(
            "submit", "-f", "-", "--project", "stdin", "--detach", context.root, input: "FROM busybox\nRUN sleep 1 && echo done\n")
        #expect(submitted.status == 0)
        let followed = try await cluster.farm("logs", "-f", submitted.line)
        #expect(followed.output.contains("done"))
        try await eventually("the build has succeeded") { try await cluster.show(submitted.line).status == .succeeded }
    }
}
