import FarmAPI
import Glibc
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 1), .timeLimit(.minutes(10)))
struct FailureTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var dockerfile: String
        var options: [String] = []
        var status: Int32 = 1
        var says: [String]
        var testDescription: String { dockerfile }
    }

    @Test(arguments: [
        Case(dockerfile: "FROM busybox\nRUNN true\n", says: ["Dockerfile:2", "RUNN", "RUN"]),
        Case(dockerfile: "FROM busybox\nRUN --mount=type=cach,target=/x true\n", says: ["Dockerfile:2", "cach", "cache"]),
        Case(dockerfile: "FROM busybox\nRUN --mount=type=ssh true\n", says: ["Dockerfile:2", "ssh", "not built yet"]),
        Case(dockerfile: "FROM nowhere/to:be-found\n", says: ["nowhere/to:be-found", "farm image import"]),
        Case(dockerfile: "FROM busybox\nCOPY missing.txt /\n", says: ["missing.txt", "Dockerfile:2"]),
        Case(dockerfile: "FROM busybox\nCOPY --from=nobody /x /\n", says: ["nobody"]),
        Case(dockerfile: "FROM busybox\nRUN echo before the end && exit 7\n", says: ["exit code: 7", "before the end", ">>> RUN"]),
        Case(dockerfile: "FROM busybox\nRUN [\"/no/such/program\"]\n", says: ["/no/such/program"]),
        Case(dockerfile: "FROM busybox\nUSER nobody-here\nRUN true\n", says: ["nobody-here"]),
        Case(
            dockerfile: "FROM busybox AS s\nRUN echo x > /f\nFROM busybox\nRUN --mount=type=cache,target=/c,from=s,source=/f true\n",
            says: ["Dockerfile:4", "the cache mount at /c: source=/f is no directory"]),
        Case(
            dockerfile: "FROM busybox\nRUN --mount=type=cache,target=/c,from=busybox,source=/missing true\n",
            says: ["Dockerfile:2", "/missing"]),
        Case(dockerfile: "FROM busybox\n", options: ["--target", "other"], says: ["other"]),
        Case(dockerfile: "FROM busybox\nRUN true\n", options: ["--require", "name=agent-9"], says: ["name=agent-9"]),
        Case(dockerfile: "FROM busybox\n", options: ["--push"], status: 2, says: ["--push", "not built yet"]),
        Case(dockerfile: "FROM busybox\n", options: ["-f", "nothing-here"], status: 2, says: ["nothing-here"]),
        Case(dockerfile: "FROM busybox\n", options: ["--progress", "loud"], status: 2, says: ["loud", "plain"]),
    ])
    func `what is wrong is said, with its place and what to do`(wrong: Case) async throws {
        defer { context.remove() }
        try context.write(wrong.dockerfile, to: "Dockerfile")
        let result = try await cluster.farm(
            ["submit", "--project", "failures", "--progress", "plain"] + wrong.options + [context.root], timeLimit: .seconds(60))
        #expect(result.status == wrong.status)
        #expect(result.output.isEmpty)
        for text in wrong.says { #expect(result.error.contains(text), "'\(text)' in: \(result.error)") }
        #expect(!result.error.contains(cluster.data), "paths of the agent tell who builds nothing: \(result.error)")
    }

    @Test func `a failed step leaves no process, no mount and no half output`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN sleep 1000 & sleep 1000 & sleep 0.2; exit 3\n", to: "Dockerfile")
        let output = context.path("image.tar")
        let result = try await cluster.farm("submit", "--project", "trace", "-o", "type=oci,dest=\(output)", context.root)
        #expect(result.status == 1)
        #expect(access(output, F_OK) != 0)
        let sleeping = try await Command.run(["pgrep", "-f", "^sleep 1000$"])
        #expect(sleeping.status == 1, "\(sleeping.testDescription)")
        let agent = try cluster.daemon("agent-1")
        // The suite's other builds may have steps of their own on this agent just now.
        try await eventually("no overlay is left in the agent's mounts") {
            let mounts = try #require(TemporaryFolder.read("/proc/\(agent)/mounts"))
            return !mounts.split(separator: "\n").contains { $0.contains("overlay") && $0.contains(cluster.data) }
        }
        #expect(try #require(TemporaryFolder.read("/proc/self/mounts")).contains(cluster.data) == false)
    }

    @Test func `cancelling ends the processes at once`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN echo begun; exec sleep 4321\n", to: "Dockerfile")
        let submitted = try await cluster.farm("submit", "--project", "cancel", "--detach", context.root)
        try await eventually("the step runs") { try await Command.run(["pgrep", "-f", "^sleep 4321$"]).status == 0 }
        let cancelled = try await cluster.farm("cancel", submitted.line)
        #expect(cancelled.status == 0, "\(cancelled.testDescription)")
        try await eventually("the process has ended", within: .seconds(2)) {
            try await Command.run(["pgrep", "-f", "^sleep 4321$"]).status == 1
        }
        try await eventually("the build is cancelled") { try await cluster.show(submitted.line).status == .cancelled }
    }

    @Test func `a coordinator out of reach is an error that names it`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\n", to: "Dockerfile")
        let settings = (TemporaryFolder.read(cluster.configuration) ?? "").split(separator: "\n").filter { !$0.hasPrefix("coordinator") }
        let file = try context.write((["coordinator: 127.0.0.1:1"] + settings.map(String.init)).joined(separator: "\n"), to: "client.yaml")
        let result = try await cluster.farm("submit", "--config", file, context.root)
        #expect(result.status == 1)
        #expect(result.error.contains("127.0.0.1:1"), "\(result.error)")
    }

    @Test func `--config before the command or behind it names the farm, whatever the environment says`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN echo of this farm\n", to: "Dockerfile")
        let nowhere = ["FARM_CONFIG": context.path("nothing-here.yaml"), "HOME": context.root, "XDG_CONFIG_HOME": context.root]
        func farm(_ arguments: String...) async throws -> CommandResult { try await cluster.farm(arguments, environment: nowhere) }
        let without = try await farm("builds")
        #expect(without.status != 0 && without.error.contains("nothing-here.yaml"), "\(without.testDescription)")
        let file = cluster.configuration
        let submitted = try await farm("--config", file, "submit", "--progress", "plain", "--project", "config", context.root)
        #expect(submitted.status == 0 && submitted.error.contains("of this farm"), "\(submitted.testDescription)")
        for arguments in [["--config", file, "builds"], ["builds", "--config", file], ["--config=\(file)", "builds"]] {
            let listed = try await cluster.farm(arguments, environment: nowhere)
            #expect(listed.status == 0 && listed.output.contains(" config "), "\(listed.testDescription)")
        }
        // Of a command's own commands, too.
        let volumes = try await farm("--config", file, "volumes", "list", "--json")
        #expect(volumes.status == 0 && volumes.output.hasPrefix("["), "\(volumes.testDescription)")
        let wrong = try await farm("--config", context.path("other.yaml"), "agents")
        #expect(wrong.status != 0 && wrong.error.contains("other.yaml"), "the flag, not the environment: \(wrong.testDescription)")
        let nothing = try await farm("--config")
        #expect(nothing.status != 0 && nothing.error.contains("--config"), "\(nothing.testDescription)")
    }

    @Test func `a certificate of another authority is refused by both sides`() async throws {
        defer { context.remove() }
        let coordinator = "\(Command.programs)/farm-coordinator"
        let made = try await Command.run([
            coordinator, "init", "--data", context.path("other"), "--listen", "127.0.0.1:1", "--names", "127.0.0.1",
        ])
        try #require(made.status == 0, "\(made.testDescription)")
        let enrolled = try await Command.run([
            coordinator, "enroll", "client", "mallory", "--data", context.path("other"), "--out", context.path("mallory"),
        ])
        try #require(enrolled.status == 0, "\(enrolled.testDescription)")
        let settings = TemporaryFolder.read(cluster.configuration) ?? ""
        func line(_ key: String) -> String { settings.split(separator: "\n").first { $0.hasPrefix(key + ":") }.map(String.init) ?? "" }
        // Their certificate, our authority: the coordinator refuses.
        let stranger = try context.write(
            "\(line("coordinator"))\n\(line("authority"))\ncertificate: mallory/certificate.pem\nkey: mallory/key.pem\n",
            to: "stranger.yaml")
        let refused = try await cluster.farm("builds", "--config", stranger)
        #expect(refused.status == 1 && refused.error.contains("certificate"), "\(refused.testDescription)")
        // Our certificate, their authority: the client refuses.
        let deceived = try context.write(
            "\(line("coordinator"))\nauthority: mallory/authority.pem\n\(line("certificate"))\n\(line("key"))\n", to: "deceived.yaml")
        let distrusted = try await cluster.farm("builds", "--config", deceived)
        #expect(distrusted.status == 1 && distrusted.error.contains("trust"), "\(distrusted.testDescription)")
        // No certificate and a wrong token: the coordinator refuses.
        let nobody = try context.write("\(line("coordinator"))\n\(line("authority"))\ntoken: guessed\n", to: "nobody.yaml")
        let unknown = try await cluster.farm("builds", "--config", nobody)
        #expect(unknown.status == 1, "\(unknown.testDescription)")
        #expect(unknown.output.isEmpty)
    }
}
