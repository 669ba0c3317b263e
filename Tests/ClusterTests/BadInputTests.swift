import FarmAPI
import Glibc
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2), .timeLimit(.minutes(10)))
struct BadInputTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    private func submit(_ dockerfile: String, _ options: String...) async throws -> CommandResult {
        try context.write(dockerfile, to: "Dockerfile")
        return try await cluster.farm(
            ["submit", "--project", "bad", "--progress", "plain"] + options + [context.root], timeLimit: .seconds(120))
    }

    private func shell(_ script: String, in folder: String? = nil) async throws {
        let done = try await Command.run(["sh", "-ec", script], in: folder ?? context.root)
        try #require(done.status == 0, "\(done.testDescription)")
    }

    // MARK: Contexts

    @Test func `names that are not UTF-8, links that lead outside and pipes are taken as they are`() async throws {
        defer { context.remove() }
        try await shell(
            #"""
            touch "$(printf 'bad\377name')" "$(printf 'new\nline')"
            ln -s /etc/shadow absolute; ln -s ../../../../../etc/shadow relative; ln -s loop loop; mkfifo pipe
            """#)
        let result = try await submit(
            #"""
            FROM busybox
            COPY . /x
            RUN cd /x && test -e "$(printf 'bad\377name')" && test -e "$(printf 'new\nline')" && test -p pipe \
              && test "$(readlink absolute)" = /etc/shadow && test ! -e absolute && test ! -e relative
            RUN --mount=type=bind,target=/m test -L /m/relative && test ! -e /m/relative
            """#)
        #expect(result.status == 0, "\(result.testDescription)")
        for copied in ["absolute", "relative", "loop", "../../../etc/shadow"] {
            let says = copied == "loop" ? "too many symbolic links" : "does not exist"
            let refused = try await submit("FROM busybox\nCOPY \(copied) /x\n")
            #expect(refused.status == 1 && refused.error.contains(says), "\(refused.testDescription)")
        }
        let mounted = try await submit("FROM busybox\nRUN --mount=type=bind,source=absolute,target=/m cat /m\n")
        #expect(mounted.status == 1 && mounted.error.contains("'absolute' does not exist"), "\(mounted.testDescription)")
    }

    @Test func `a device node in the context is named`() async throws {
        defer { context.remove() }
        try await shell("mknod null c 1 3")
        let result = try await submit("FROM busybox\nCOPY . /x\n")
        #expect(result.status == 1 && result.error.contains("'null' in the context is a device node"), "\(result.testDescription)")
    }

    @Test func `a Dockerfile that is a folder or a pipe is told, and one that .dockerignore names still counts`() async throws {
        defer { context.remove() }
        try await shell("mkdir folder; mkfifo pipe")
        for (file, says) in [("folder", "it is a folder"), ("pipe", "it is no regular file"), ("missing", "does not exist")] {
            let result = try await submit("FROM busybox\n", "-f", context.path(file))
            #expect(result.status == 2 && result.error.contains(says), "\(result.testDescription)")
        }
        try context.write("*\n", to: ".dockerignore")
        let result = try await submit("FROM busybox\nCOPY . /x\nRUN test -z \"$(ls -A /x)\"\n")
        #expect(result.status == 0, "\(result.testDescription)")
    }

    // MARK: Steps

    @Test func `a step's lines are shown whole, whatever ends them, without what would move the cursor`() async throws {
        defer { context.remove() }
        let result = try await submit(
            #"FROM busybox"# + "\n" + #"RUN printf 'first\r\nsecond\r\n10%%\r20%%\n\033[31mred\033]0;title\007\n\302\233x\n'"# + "\n")
        #expect(result.status == 0, "\(result.testDescription)")
        for line in ["first", "second", "20%", "red"] { #expect(result.error.contains(" \(line)\n"), "\(result.error)") }
        #expect(!result.error.contains { $0 == "\u{1B}" || $0 == "\u{9B}" || $0 == "\r" || $0 == "\r\n" })
    }

    @Test func `output without an end is cut off with a notice`() async throws {
        defer { context.remove() }
        let submitted = try await submit(
            "FROM busybox\nRUN head -c 70000000 /dev/zero | tr '\\0' x\nRUN echo still here\n", "--detach")
        try await eventually("the build has ended", within: .seconds(60)) { try await cluster.show(submitted.line).status == .succeeded }
        let logs = try await cluster.farm("logs", submitted.line)
        #expect(logs.output.utf8.count < 69_000_000)
        #expect(logs.output.contains("left out"))
    }

    @Test(arguments: [("exit 255", 255), ("sh -c 'kill -9 $$'; exit $?", 137), ("sh -c 'kill -11 $$'; exit $?", 139)])
    func `how a process ended is told`(command: String, code: Int) async throws {
        defer { context.remove() }
        let result = try await submit("FROM busybox\nRUN \(command)\n")
        #expect(result.status == 1 && result.error.contains("exit code: \(code)\n"), "\(result.testDescription)")
    }

    @Test func `a step sees none of the host and leaves no process`() async throws {
        defer { context.remove() }
        let result = try await submit(
            """
            FROM busybox
            RUN mknod /tmp/memory c 1 1 && ! head -c 4 /tmp/memory && ! mount -t tmpfs none /tmp && ! unshare -m true \\
              && ! (echo x > /proc/sys/kernel/core_pattern) && ! hostname other && test ! -e /proc/1/root/proc/sysrq-trigger
            RUN trap '' TERM; (trap '' TERM; setsid sleep 5432) & echo end
            """)
        #expect(result.status == 0, "\(result.testDescription)")
        let left = try await Command.run(["pgrep", "-f", "^sleep 5432$"])
        #expect(left.status == 1, "\(left.testDescription)")
    }

    @Test func `links of the image lead copies and mounts nowhere but into the image`() async throws {
        defer { context.remove() }
        let outside = try TemporaryFolder()
        defer { outside.remove() }
        let result = try await submit(
            """
            FROM busybox
            RUN ln -s \(outside.root) /out && ln -s ../../../../../..\(outside.root) /up && ln -s \(outside.root) /cache
            COPY Dockerfile /out/one
            COPY Dockerfile /up/two
            RUN --mount=type=cache,target=/cache echo x > /cache/three
            RUN ls \(outside.root)/one \(outside.root)/two
            """)
        #expect(result.status == 0, "\(result.testDescription)")
        for name in ["one", "two", "three"] { #expect(access(outside.path(name), F_OK) != 0, "\(name)") }
    }

    @Test func `archives that reach outside are refused`() async throws {
        defer { context.remove() }
        try await shell(
            """
            echo x > file
            tar -cPf up.tar --transform 's,file,../../../../../up,' file
            tar -cPf absolute.tar --transform 's,file,/absolute,' file
            tar -cf cut.tar file && truncate -s 700 cut.tar
            """)
        for (archive, says) in [("up.tar", "'..' may not be"), ("absolute.tar", "absolute path")] {
            let added = try await submit("FROM busybox\nADD \(archive) /x/\n")
            #expect(added.status == 1 && added.error.contains(says), "\(added.testDescription)")
            let imported = try await cluster.farm("image", "import", "outside", context.path(archive))
            #expect(imported.status == 1 && imported.error.contains(says), "\(imported.testDescription)")
        }
        let rubbish = try context.write("rubbish", to: "rubbish")
        let imported = try await cluster.farm("image", "import", "rubbish", rubbish)
        #expect(imported.status == 1 && imported.error.contains("\(rubbish): this is no image"), "\(imported.testDescription)")
        #expect(try await cluster.farm("image", "list").output.contains("rubbish") == false)
    }

    @Test func `a base image that was removed is told as one that is not there`() async throws {
        defer { context.remove() }
        try await shell("mkdir etc && tar -cf image.tar etc")
        #expect(try await cluster.farm("image", "import", "passing", context.path("image.tar")).status == 0)
        #expect(try await submit("FROM passing\nCOPY Dockerfile /x\n").status == 0)
        #expect(try await cluster.farm("image", "rm", "passing").status == 0)
        let result = try await submit("FROM passing\nCOPY Dockerfile /x\n")
        #expect(result.status == 1 && result.error.contains("farm image import"), "\(result.testDescription)")
        #expect(try await cluster.farm("image", "rm", "passing").status == 1)
    }

    // MARK: Ends

    @Test func `SIGINT ends the build and the client with 130`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN trap '' TERM INT; sleep 6543\n", to: "Dockerfile")
        let client = try Command.start(
            ["\(Command.programs)/farm", "submit", "--config", cluster.configuration, "--project", "interrupt", context.root],
            output: context.path("out"), error: context.path("err"))
        try await eventually("the step runs") { try await Command.run(["pgrep", "-f", "^sleep 6543$"]).status == 0 }
        kill(client, SIGINT)
        try await eventually("the process has ended", within: .seconds(2)) {
            try await Command.run(["pgrep", "-f", "^sleep 6543$"]).status == 1
        }
        #expect(await Command.wait(for: client) == 130)
    }
}
