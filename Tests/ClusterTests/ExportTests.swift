import FarmAPI
import Glibc
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 1), .timeLimit(.minutes(10)))
struct ExportTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
        try context.write("#!/bin/sh\necho run\n", to: "run.sh", mode: 0o755)
        try context.write(
            """
            FROM busybox
            ENV A=1 B="two words"
            LABEL maker=farm
            WORKDIR /srv
            COPY --chown=1000:1000 run.sh .
            RUN ln run.sh hard && mkfifo pipe && rm /etc/group && touch -d @1000000000 old && chmod 4755 hard
            USER app
            EXPOSE 80/tcp
            ENTRYPOINT ["/srv/run.sh"]
            CMD ["now"]
            """, to: "Dockerfile")
    }

    private func inspect(_ reference: String) async throws -> String {
        let result = try await Command.run(["skopeo", "inspect", "--config", reference])
        try #require(result.status == 0, "\(result.testDescription)")
        return result.output
    }

    private func expectConfig(_ config: String) {
        for expected in [
            "\"A=1\"", "\"B=two words\"", "\"maker\": \"farm\"", "\"WorkingDir\": \"/srv\"", "\"User\": \"app\"", "\"80/tcp\"",
            "\"/srv/run.sh\"", "\"now\"",
            "\"empty_layer\": true", "\"created_by\"",
        ] {
            #expect(config.contains(expected), "\(expected) in \(config)")
        }
    }

    @Test func `an OCI archive opens elsewhere with the right configuration`() async throws {
        defer { context.remove() }
        let file = context.path("image.tar")
        let build = try await cluster.build(context, "-t", "farm/example:1", "-o", "type=oci,dest=\(file)", project: "oci")
        expectConfig(try await inspect("oci-archive:\(file)"))
        let digest = try await Command.run(["skopeo", "inspect", "--format", "{{.Digest}}", "oci-archive:\(file)"])
        #expect(digest.line == build.image?.digest.description, "\(digest.testDescription)")
        let unpacked = try await Command.run(
            [
                "sh", "-c",
                "mkdir layout && tar -xf image.tar -C layout && umoci unpack --image layout:$(jq -r '.manifests[0].annotations[\"org.opencontainers.image.ref.name\"]' layout/index.json) bundle",
            ],
            in: context.root)
        try #require(unpacked.status == 0, "\(unpacked.testDescription)")
        let root = context.path("bundle/rootfs")
        var status = stat()
        #expect(
            stat("\(root)/srv/hard", &status) == 0 && status.st_nlink == 2 && status.st_uid == 1000 && status.st_mode & 0o7777 == 0o4755)
        #expect(stat("\(root)/srv/old", &status) == 0 && status.st_mtim.tv_sec == 1_000_000_000)
        #expect(stat("\(root)/srv/pipe", &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
        #expect(access("\(root)/etc/group", F_OK) != 0, "the whiteout counts")
    }

    @Test func `a Docker archive has its name and configuration`() async throws {
        defer { context.remove() }
        let file = context.path("image.tar")
        _ = try await cluster.build(context, "-t", "farm/example:2", "-o", "type=docker,dest=\(file)", project: "docker")
        expectConfig(try await inspect("docker-archive:\(file)"))
        let tags = try await Command.run(["sh", "-c", "tar -xOf image.tar manifest.json"], in: context.root)
        #expect(tags.output.contains("farm/example:2"), "\(tags.testDescription)")
    }

    @Test func `a folder and a tar have the root file system`() async throws {
        defer { context.remove() }
        _ = try await cluster.build(context, "-o", context.path("out"), "-o", "type=tar,dest=\(context.path("root.tar"))", project: "local")
        #expect(TemporaryFolder.read(context.path("out/srv/run.sh")) == "#!/bin/sh\necho run\n")
        let listed = try await Command.run(["tar", "-tvf", context.path("root.tar")])
        #expect(listed.status == 0 && listed.output.contains("srv/run.sh") && !listed.output.contains(".wh."), "\(listed.testDescription)")
    }

    @Test func `an exported image can be imported and built upon`() async throws {
        defer { context.remove() }
        let file = context.path("image.tar")
        _ = try await cluster.build(context, "-o", "type=oci,dest=\(file)", project: "again")
        let imported = try await cluster.farm("image", "import", "again:1", file)
        try #require(imported.status == 0, "\(imported.testDescription)")
        let upon = try TemporaryFolder()
        defer { upon.remove() }
        try upon.write("FROM again:1\nRUN pwd && id -u && echo \"$B\"\n", to: "Dockerfile")
        let build = try await cluster.build(upon, project: "upon")
        let log = try await cluster.farm("logs", build.id).output
        for expected in ["/srv", "1000", "two words"] { #expect(log.contains(expected), "\(log)") }
        #expect(try await cluster.farm("image", "list").output.contains("again:1"))
        #expect(try await cluster.farm("image", "rm", "again:1").status == 0)
        #expect(try await cluster.farm("image", "rm", "again:1").status == 1)
    }

    @Test func `-o - writes a tar to standard output, --iidfile and --quiet do what scripts expect`() async throws {
        defer { context.remove() }
        let tar = try await Command.run(
            [
                "sh", "-c",
                "\(Command.programs)/farm submit --config \(cluster.configuration) --project stdout -q -o - . > out.tar && tar -tf out.tar",
            ],
            in: context.root)
        #expect(tar.status == 0 && tar.output.contains("srv/run.sh"), "\(tar.testDescription)")
        let quiet = try await cluster.farm("submit", "-q", "--project", "stdout", "--iidfile", context.path("iid"), context.root)
        #expect(quiet.error.isEmpty && quiet.line.hasPrefix("sha256:"), "\(quiet.testDescription)")
        #expect(TemporaryFolder.read(context.path("iid"))?.hasPrefix("sha256:") == true)
    }
}
