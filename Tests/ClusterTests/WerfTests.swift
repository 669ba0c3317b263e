import FarmAPI
import Glibc
import Testing

@Suite(.enabled(if: geteuid() == 0 && Command.isThere("git"), "needs root and git"), .cluster(agents: 2), .timeLimit(.minutes(10)))
struct WerfTests {
    let cluster: TestCluster

    init() throws { cluster = try #require(TestCluster.current) }

    private static func config(_ project: String, _ images: String...) -> String {
        "project: \(project)\nconfigVersion: 1\n" + images.map { "---\n\($0)\n" }.joined()
    }

    private static let caches = "giterminismConfigVersion: 1\nconfig: {stapel: {mount: {allowBuildDir: true, allowFromPaths: [/srv]}}}\n"

    @Test func `a commit runs again what depends on its files, and the rest of it is a patch`() async throws {
        let project = try await GitProject(
            cluster,
            [
                "werf.yaml": Self.config(
                    "stages",
                    """
                    image: app
                    from: busybox
                    git:
                    - add: /src
                      to: /app
                      stageDependencies: {install: [install.txt], setup: [setup.txt]}
                    shell:
                      beforeInstall: echo before > /before
                      install: cp /app/install.txt /install
                      setup: cat /app/setup.txt /app/other.txt > /setup
                    """),
                "src/install.txt": "i1", "src/setup.txt": "s1", "src/other.txt": "o1", "src/gone.txt": "g1",
            ])
        defer { project.folder.remove() }
        let (first, result) = try await project.build()
        #expect(result.line == first.image?.digest.description)
        #expect(first.project == "stages")
        #expect(first.stages.flatMap(\.steps).allSatisfy { !$0.cached })
        let (again, _) = try await project.build()
        #expect(again.stages.flatMap(\.steps).allSatisfy { $0.cached })
        #expect(again.stages.allSatisfy { $0.agent == nil })

        try await project.commit(["src/setup.txt": "s2"])
        let (second, _) = try await project.build()
        for stage in ["beforeInstall", "gitArchive", "app/install"] { #expect(second.steps(stage).allSatisfy { $0.cached }, "\(stage)") }
        #expect(!second.steps("app/setup").isEmpty && second.steps("app/setup").allSatisfy { !$0.cached })

        try await project.git("rm", "--quiet", "src/gone.txt")
        try await project.commit(["src/other.txt": "o2"])
        let out = project.folder.path("../\(project.folder.root.split(separator: "/").last ?? "")-out")
        defer { _ = try? Command.start(["rm", "-rf", out], output: "/dev/null", error: "/dev/null") }
        let (third, _) = try await project.build("-o", out)
        #expect(third.stages.flatMap(\.steps).filter { !$0.cached }.map(\.name).allSatisfy { $0.contains("gitLatestPatch") })
        #expect(TemporaryFolder.read("\(out)/app/other.txt") == "o2")
        #expect(TemporaryFolder.read("\(out)/app/gone.txt") == nil)
        #expect(TemporaryFolder.read("\(out)/setup") == "s2o1")
    }

    @Test func `what is not committed is named and not built; --loose builds it`() async throws {
        let project = try await GitProject(
            cluster,
            [
                "werf.yaml": Self.config(
                    "uncommitted", "image: app\nfrom: busybox\ngit:\n- add: /\n  to: /app\n  includePaths: [\"*.txt\"]"),
                "a.txt": "committed",
            ])
        defer { project.folder.remove() }
        let (first, _) = try await project.build()
        try project.folder.write("changed", to: "a.txt")
        try project.folder.write("new", to: "b.txt")
        let (second, result) = try await project.build()
        #expect(
            result.error.contains("warning: not committed, and so not built: a.txt, b.txt; commit, or build"), "\(result.testDescription)")
        #expect(second.image?.digest == first.image?.digest)
        let out = try TemporaryFolder()
        defer { out.remove() }
        let (_, loose) = try await project.build("--loose", "-o", out.path("root"))
        #expect(!loose.error.contains("not committed"))
        #expect(out.read("root/app/a.txt") == "changed")
        #expect(out.read("root/app/b.txt") == "new")
    }

    @Test func `images are built at once on two agents, chosen by name, and final ones exported`() async throws {
        let project = try await GitProject(
            cluster,
            [
                "werf.yaml": Self.config(
                    "several", "image: base\nfinal: false\nfrom: busybox\nshell:\n  install: echo base > /base",
                    "image: [one, two]\nfrom: busybox\nshell:\n  install: sleep 2; echo own > /own",
                    "image: all\nfrom: base\nimport:\n- image: one\n  add: /own\n  to: /one\n  before: setup")
            ])
        defer { project.folder.remove() }
        let (build, result) = try await project.build()
        let lines = result.line.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.map(\.first) == ["one", "two", "all"])
        for line in lines { #expect(line.count == 2 && build.images?[line[0]]?.digest.description == line[1], "\(result.output)") }
        #expect(build.images?.keys.sorted() == ["all", "one", "two"])
        let (one, two) = (build.steps("one/install").first, build.steps("two/install").first)
        let started = try [#require(one?.startedAt), #require(two?.startedAt)]
        let finished = try [#require(one?.finishedAt), #require(two?.finishedAt)]
        #expect(started[0] < finished[1] && started[1] < finished[0], "both ran at the same time")
        let agents = build.stages.filter { $0.name == "one" || $0.name == "two" }.map(\.agent)
        #expect(agents.count == 2 && agents[0] != agents[1])

        let out = try TemporaryFolder()
        defer { out.remove() }
        let (chosen, alone) = try await project.build("--image", "all", "-o", out.path("root"))
        #expect(alone.line == chosen.image?.digest.description)
        #expect(out.read("root/one") == "own\n" && out.read("root/base") == "base\n")
        let refused = try await project.submit("-o", out.path("root"))
        #expect(refused.status == 2)
        #expect(refused.error.contains("choose one of one, two, all by --image"))
        let unknown = try await project.submit("--image", "on")
        #expect(unknown.status == 1)
        #expect(unknown.error.contains("there is no image 'on' (did you mean one?): the file has base, one, two, all"))
    }

    @Test func `build_dir follows the build to another agent, and tmp_dir is new for each`() async throws {
        let project = try await GitProject(
            cluster,
            [
                "werf-giterminism.yaml": Self.caches,
                "werf.yaml": Self.config(
                    "mounts",
                    """
                    image: app
                    from: busybox
                    mount:
                    - {from: build_dir, to: /var/cache/things}
                    - {from: tmp_dir, to: /scratch}
                    shell:
                      install:
                      - ls /var/cache/things /scratch
                      - echo kept >> /var/cache/things/kept
                      - echo x > /scratch/between
                      setup:
                      - cat /scratch/between
                      - wc -l < /var/cache/things/kept
                    """),
            ])
        defer { project.folder.remove() }
        let (first, _) = try await project.build("--require", "name=agent-1")
        let volumes = try await cluster.volumes(of: "mounts")
        #expect(volumes.map(\.id).allSatisfy { $0.hasPrefix("var-cache-things-") } && volumes.count == 1)
        let (second, result) = try await project.build("--require", "name=agent-2", "--no-cache")
        #expect(second.stages.flatMap(\.steps).contains { $0.bytes.volumes > 0 })
        #expect(result.error.contains(" kept\n"), "the file of the first build: \(result.testDescription)")
        #expect(!result.error.contains(" between\n"), "nothing of the first build's tmp_dir")
        #expect(result.error.contains(" 2\n"))
        #expect(first.image != nil && second.image != nil)
        let out = try TemporaryFolder()
        defer { out.remove() }
        _ = try await project.build("-o", out.path("root"))
        for folder in ["var/cache/things", "scratch"] {
            let listed = try await Command.run(["ls", "-A", out.path("root/\(folder)")])
            #expect(listed.status == 0 && listed.output.isEmpty, "\(folder) is there and empty: \(listed.testDescription)")
        }
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var name: String
        var files: [String: String]
        var says: String
        var testDescription: String { name }
    }

    @Test(arguments: [
        Mistake(
            name: "forbidden", files: ["werf.yaml": config("bad", "image: a\nfrom: busybox\nmount:\n- from: build_dir\n  to: /c")],
            says: "werf.yaml:7: a mount from build_dir is not allowed by giterminism"),
        Mistake(
            name: "unknown key", files: ["werf.yaml": config("bad", "image: a\nform: busybox")], says: "werf.yaml:5:"),
        Mistake(
            name: "template", files: ["werf.yaml": config("bad", "image: a\nfrom: {{ nofunction }}")], says: "werf.yaml:5:"),
        Mistake(
            name: "variable", files: ["werf.yaml": config("bad", "image: a\nfrom: {{ env \"HOME\" }}")],
            says: "HOME is not allowed by giterminism"),
        Mistake(
            name: "rules", files: ["werf.yaml": config("bad", "image: a\nfrom: busybox"), "werf-giterminism.yaml": "a: 1"],
            says: "werf-giterminism.yaml:1:"),
    ])
    func `what is wrong is told before there is a build`(mistake: Mistake) async throws {
        let project = try await GitProject(cluster, mistake.files)
        defer { project.folder.remove() }
        let result = try await project.submit()
        #expect(result.status == 1)
        #expect(result.error.contains(mistake.says), "\(result.testDescription)")
        let builds = try await cluster.farm("builds", "--json")
        #expect(!builds.output.contains("\"bad\""))
    }

    @Test func `a folder without a repository is refused, and a path that no agent allows`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try folder.write(Self.config("plain", "image: a\nfrom: busybox\nshell:\n  install: 'true'"), to: "werf.yaml")
        let plain = try await cluster.farm("submit", folder.root)
        #expect(plain.status == 1 && plain.error.contains("is not in a git repository"), "\(plain.testDescription)")
        let project = try await GitProject(
            cluster,
            [
                "werf-giterminism.yaml": Self.caches,
                "werf.yaml": Self.config(
                    "paths", "image: a\nfrom: busybox\nmount:\n- fromPath: /srv/models\n  to: /models\nshell:\n  install: ls /models"),
            ])
        defer { project.folder.remove() }
        let result = try await project.submit()
        #expect(result.status == 1)
        #expect(result.error.contains("/srv/models") && result.error.contains("host-paths"), "\(result.testDescription)")
    }

    @Test func `secrets reach the steps and nothing else`() async throws {
        let value = "quite-secret-\(UInt64.random(in: .min ... .max))"
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try folder.write(value, to: "outside/token")
        try folder.write(
            """
            FROM busybox
            RUN --mount=type=secret,id=token,required test "$(cat /run/secrets/token)" = "$(cat /run/secrets/token)" && \\
                cat /run/secrets/token && wc -c < /run/secrets/token > /size && stat -c %a /run/secrets/token > /mode
            RUN --mount=type=secret,id=word,env=WORD echo "${#WORD}" > /length; echo "word: $WORD"
            RUN --mount=type=secret,id=none test ! -e /run/secrets/none
            """, to: "app/Dockerfile")
        let result = try await cluster.farm(
            [
                "submit", "--progress", "plain", "--secret", "id=token,src=\(folder.path("outside/token"))", "--secret", "id=word,env=WORD",
                "-o", folder.path("root"), folder.path("app"),
            ], environment: ["WORD": value + "-2"])
        try #require(result.status == 0, "\(result.testDescription)")
        #expect(folder.read("root/size") == "\(value.utf8.count)\n")
        #expect(folder.read("root/mode") == "400\n")
        #expect(folder.read("root/length") == "\(value.utf8.count + 2)\n")
        let project = try await GitProject(
            cluster,
            [
                "werf-giterminism.yaml":
                    "giterminismConfigVersion: 1\nconfig: {goTemplateRendering: {allowEnvVariables: [WORD]}, "
                    + "secrets: {allowEnvVariables: [TOKEN], allowValueIds: [word]}}\n",
                "werf.yaml": Self.config(
                    "secrets",
                    "image: app\nfrom: busybox\nsecrets:\n- env: TOKEN\n- id: word\n  value: '{{ env \"WORD\" }}'\n"
                        + "shell:\n  install: cat /run/secrets/TOKEN /run/secrets/word | wc -c > /size; cat /run/secrets/TOKEN"),
            ])
        defer { project.folder.remove() }
        let (_, werf) = try await project.build("-o", folder.path("werf"), environment: ["TOKEN": value + "-3", "WORD": value + "-4"])
        #expect(folder.read("werf/size") == "\(2 * value.utf8.count + 4)\n")
        for output in [result, werf] { #expect(!output.error.contains(value), "the log hides it: \(output.testDescription)") }
        let found = try await Command.run([
            "grep", "-rlF", value, cluster.data, cluster.folder.path("cache"), folder.path("root"), folder.path("werf"),
        ])
        #expect(found.status == 1 && found.output.isEmpty, "no file has it: \(found.testDescription)")

        let missing = try await cluster.farm("submit", "--progress", "plain", "--no-cache", folder.path("app"))
        #expect(missing.status == 1)
        #expect(missing.error.contains("needs the secret 'token'"), "\(missing.testDescription)")
    }
}
