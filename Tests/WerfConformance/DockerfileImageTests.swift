import BuildPlan
import Testing

@testable import WerfFrontend

@Suite struct DockerfileImageTests {
    private func plan(_ directives: String, _ text: String, ignore: String? = nil, others: String...) throws -> Plan {
        let config = try WerfConfig(
            parsing: (["project: demo\nconfigVersion: 1\n", "image: web\ndockerfile: Dockerfile\n" + directives] + others).joined(
                separator: "---\n"),
            name: "werf.yaml")
        let file = try #require(try config.files(of: ["web"]).first).path
        var files = [file: text]
        files[CleanPath.relativeToRoot(CleanPath.clean(file + "/../.dockerignore"))] = ignore
        return try config.plan(files: files)
    }

    @Test func `A Dockerfile's stages belong to its image`() throws {
        let plan = try plan("", "FROM golang AS build\nRUN make\nFROM scratch\nCOPY --from=build /a /a\nCMD [\"/a\"]\n")
        #expect(plan.stages.map(\.name) == ["web/build", "web"])
        #expect(plan.stages.map(\.stepNames) == [["[web/build 2/2]"], ["[web/stage-1 1/1]"]])
        #expect(try plan.stage(of: "web").config.cmd == ["/a"])
        #expect(try plan.stage(of: "web").copy().from == .stage(0))
        #expect(plan.stages[1].steps[0].lines == 4...4)
    }

    @Test func `Stages are numbered after those of the images before`() throws {
        let plan = try plan(
            "", "FROM a AS x\nRUN --mount=from=y,target=/y make\nFROM x\nCOPY --from=x /a /a\nFROM b AS y\nRUN true\nFROM x AS z\n",
            others: "image: first\nfrom: alpine\n")
        #expect(plan.stages.map(\.name).last == "first")
        let later = try WerfConfig(
            parsing: "project: demo\nconfigVersion: 1\n---\nimage: first\nfrom: alpine\n---\nimage: web\ndockerfile: Dockerfile\n",
            name: "werf.yaml"
        ).plan(files: ["Dockerfile": "FROM a AS x\nRUN make\nFROM x\nCOPY --from=x /a /a\nRUN --mount=from=x,target=/y make\n"])
        #expect(later.stages.map(\.base) == [.image("alpine"), .image("a"), .stage(1)])
        #expect(try later.stage(of: "web").copy().from == .stage(1))
        #expect(later.stages[2].dependencies == [1])
        #expect(later.images == [PlannedImage(name: "first", stage: 0), PlannedImage(name: "web", stage: 2)])
    }

    @Test func `Target and arguments are those of the file`() throws {
        let plan = try plan("target: b\nargs: {V: 1.2, N: x}\n", "ARG N\nFROM a AS b\nARG V\nRUN echo $V\nFROM b AS c\n")
        #expect(plan.stages.map(\.name) == ["web"])
        guard case .run(let run) = plan.stages[0].steps[0].operation else { throw Missing(what: "run") }
        #expect(run.environment.contains("V=1.2"))
    }

    @Test func `Hosts, network and cache version reach every RUN`() throws {
        let plan = try plan("addHost: ['db:10.0.0.1']\nnetwork: none\ncacheVersion: 7\n", "FROM a\nRUN x\n")
        guard case .run(let run) = plan.stages[0].steps[0].operation else { throw Missing(what: "run") }
        #expect(run.extraHosts == ["db:10.0.0.1"])
        #expect(run.network == NetworkMode.none)
        #expect(run.cacheVersion == "7")
    }

    @Test func `The context is a folder of the repository, whatever it is called`() throws {
        let plan = try plan("context: services/[web]\n", "FROM a\nCOPY . /app\nCOPY a*.txt /x/\nRUN --mount=source=lib,target=/lib make\n")
        #expect(plan.stages[0].steps[0].operation.inputs.map(\.path) == ["services/\\[web\\]"])
        #expect(plan.stages[0].steps[1].operation.inputs.map(\.path) == ["services/\\[web\\]/a*.txt"])
        #expect(plan.stages[0].steps[2].operation.inputs.map(\.path) == ["services/[web]/lib"])
    }

    @Test func `The Dockerfile's path is relative to the context`() throws {
        let config = try werf("image: a\ndockerfile: docker/Dockerfile\ncontext: web\n", "image: b\ndockerfile: ./Dockerfile\ncontext: .\n")
        #expect(try config.files().filter(\.isRequired).map(\.path) == ["web/docker/Dockerfile", "Dockerfile"])
    }

    @Test(arguments: [
        (".", "node_modules\n*.md\n!README.md\n# no\n\n/tmp/\n", ["node_modules", "*.md", "!README.md", "tmp"]),
        ("src", "src/gen\nnode_modules\n", ["gen"]), ("src", "*.md\nsrc\n!src/a\n", ["**", "!a"]),
        ("src/a", "src/*/x\n**/y\n", ["x", "**/y"]),
        ("src/a", "**/a\n", ["**"]), ("src", "src/**\n", ["**"]), ("a/b/c", "a/**/c/d\n", ["**/c/d", "d"]),
    ])
    func `What a .dockerignore leaves out of a source is relative to the source`(_ source: String, _ ignore: String, _ excludes: [String])
        throws
    {
        let plan = try plan("context: web\n", "FROM a\nCOPY \(source) /app/\n", ignore: ignore)
        let found = try plan.stages[0].copy().excludes
        #expect(Set(found) == Set(excludes))
    }

    @Test(arguments: [
        ("package*.json", "node_modules\n*.md\ndist/x\n**/*.log\n", ["**/*.log"]),
        ("src/*.c", "src/gen\nsrc/*.o\nbuild\n**/*.o/x\n", ["**/*.o/x"]),
        ("a*", "b\nc*d\n!b/x\n", []),
    ])
    func `Of a pattern's files nothing is left out that the .dockerignore can't mean`(
        _ source: String, _ ignore: String, _ excludes: [String]
    ) throws {
        #expect(try plan("", "FROM a\nCOPY \(source) /app/\n", ignore: ignore).stages[0].copy().excludes == excludes)
    }

    @Test func `The .dockerignore beside the Dockerfile counts before the context's`() throws {
        let config = try werf("image: a\ndockerfile: Dockerfile\n")
        let files = ["Dockerfile": "FROM a\nCOPY . /app\n", ".dockerignore": "one", "Dockerfile.dockerignore": "two"]
        #expect(try config.plan(files: files).stages[0].copy().excludes == ["two"])
    }

    @Test func `Its secrets have ids of the image, those that it does not name stay`() throws {
        let config = try werf("image: web\ndockerfile: Dockerfile\nsecrets: [{env: A}]\n")
        _ = config
        let merge = PlanMerge(
            image: try #require(config["web"]), dockerfile: try #require(dockerfile(of: config)), offset: 0, results: [:])
        let run = RunOperation(
            arguments: ["x"], environment: [], workingDirectory: "/",
            mounts: ["A", "B"].map { Mount(target: "/run/secrets/\($0)", readOnly: true, kind: .secret(SecretMount(id: $0))) })
        let stage = merge.stage(
            Stage(
                name: "s", base: .scratch, steps: [Step(name: "[1/1] RUN x", operation: .run(run), lines: 1...1)], config: ImageConfig(),
                history: []),
            isResult: true)
        guard case .run(let merged) = stage.steps[0].operation else { throw Missing(what: "run") }
        #expect(merged.mounts.map(\.kind) == [.secret(SecretMount(id: "web/A")), .secret(SecretMount(id: "B"))])
        #expect(stage.steps[0].name == "[web 1/1] RUN x")
    }

    private func dockerfile(of config: WerfConfig) -> DockerfileImage? {
        if case .dockerfile(let dockerfile)? = config.images.first?.body { dockerfile } else { nil }
    }

    @Test func `A base of the file comes by a build argument with the image's name`() throws {
        let plan = try plan(
            "dependencies: [{from: base, imports: [{type: ImageName, targetBuildArg: BASE}]}]\n",
            "ARG BASE\nFROM ${BASE} AS x\nRUN make\nFROM a\nCOPY --from=x /a /a\n",
            others: "image: base\nfrom: alpine\ndocker: {ENV: {A: b}}\n")
        #expect(plan.stages.map(\.name) == ["base", "web/x", "web"])
        #expect(plan.stages[1].base == .stage(0))
        #expect(plan.stages[1].config.env.contains("A=b"))
        #expect(plan.images.map(\.name) == ["web", "base"])
    }

    @Test func `The name of an image of the file is nothing that a command may see`() throws {
        let error = #expect(throws: WerfError.self) {
            try plan(
                "dependencies: [{from: base, imports: [{type: ImageName, targetBuildArg: BASE}]}]\n", "FROM a\nARG BASE\nRUN echo $BASE\n",
                others: "image: base\nfrom: alpine\n")
        }
        #expect(error?.description.hasPrefix("Dockerfile:3: a command sees 'BASE'") == true, "\(String(describing: error))")
    }

    @Test func `A mistake in a Dockerfile has the Dockerfile's name and line`() throws {
        let error = #expect(throws: WerfError.self) { try plan("context: web\n", "FROM a\nRUNN x\n") }
        #expect(error?.description.hasPrefix("web/Dockerfile:2: unknown instruction: RUNN") == true)
    }

    @Test func `A Dockerfile that is not in the repository is an error of the werf.yaml`() throws {
        let config = try werf("image: a\ndockerfile: Dockerfile\n")
        let error = #expect(throws: WerfError.self) { try config.plan() }
        #expect(error?.description.hasPrefix("werf.yaml:5: image: the repository has no file 'Dockerfile'") == true)
    }

    @Test func `What a .dockerignore can't be applied to is refused by its place`() throws {
        for (source, ignore) in [
            ("*.txt", "a.txt"), ("*", "docs"), ("*/a", "docs"), ("a*", "**/a.md"), ("*.json", "*\n!package.json"), ("a*", "[ab]/x"),
        ] {
            let pattern = #expect(throws: WerfError.self) { try plan("", "FROM a\nCOPY \(source) /x/\n", ignore: ignore) }
            #expect(pattern?.line == 2)
        }
        let mount = #expect(throws: WerfError.self) { try plan("", "FROM a\nRUN --mount=target=/x make\n", ignore: "a.txt") }
        #expect(mount?.line == 2)
        let wrong = #expect(throws: WerfError.self) { try plan("", "FROM a\n", ignore: "a\n[b") }
        #expect(wrong?.description.hasPrefix(".dockerignore:2: ") == true)
    }

    @Test func `A Stapel image may stand on it, import from it, and it has an imageSpec`() throws {
        let plan = try plan(
            "imageSpec: {config: {user: app}}\n", "FROM a\nRUN make\n",
            others: "image: top\nfrom: web\nimport: [{from: web, add: /a, to: /b, after: setup}]\n")
        #expect(plan.stages.map(\.name) == ["web", "top"])
        #expect(plan.stages[1].base == .stage(0))
        #expect(plan.stages.map(\.config.user) == ["app", "app"])
    }
}
