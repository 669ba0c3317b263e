import BuildPlan
import Digests
import Testing

@testable import WerfFrontend

@Suite struct ShellTests {
    @Test func `A stage's commands are one script that ends with the first failure, run by the image's bash or else its sh`() throws {
        let run = try stage("from: alpine\nshell:\n  install:\n  - cd /app\n  - |\n    make \\\n      all\n  setup: single\n").run(
            "install")
        #expect(run.files.last == InlineFile(path: "/dev/pipes/install", content: "cd /app\nmake \\\n  all\n\n"))
        #expect(
            run.files.first
                == InlineFile(
                    path: "/dev/pipes/shell", content: "if [ -x /bin/bash ]; then exec /bin/bash -e \"$1\"; fi\nexec /bin/sh -e \"$1\"\n"))
        #expect(run.arguments == ["/bin/sh", "/dev/pipes/shell", "/dev/pipes/install"])
    }

    @Test func `Steps run as 0:0 in the root directory, whatever the base says`() throws {
        let base = baseImage("alpine") {
            $0.user = "app"
            $0.workingDirectory = "/srv"
        }
        let stage = try stage("from: alpine\nshell: {install: make}\n", bases: [base])
        let run = try stage.run("install")
        #expect(run.user == nil)
        #expect(run.workingDirectory == "/")
        #expect(stage.config.user == "app")
        #expect(stage.config.workingDirectory == "/srv")
    }

    @Test func `Steps have the base's environment, and not what docker and imageSpec set for the image`() throws {
        let base = baseImage("alpine") { $0.env = ["PATH=/bin", "A=b"] }
        #expect(
            try stage("from: alpine\ndocker: {ENV: {C: d}}\nshell: {install: make}\n", bases: [base]).run("install").environment == [
                "PATH=/bin", "A=b",
            ])
        #expect(
            try stage("from: alpine\nimageSpec: {config: {env: {C: d}}}\nshell: {install: make}\n", bases: [base]).run("install")
                .environment
                == ["PATH=/bin", "A=b"])
    }

    @Test func `Variables that an image of the file sets are there for the images upon it`() throws {
        let plan = try werf("image: base\nfrom: alpine\ndocker: {ENV: {C: d}}\n", "image: app\nfrom: base\nshell: {setup: x}\n").plan()
        #expect(try plan.stage(of: "app").run("setup").environment.contains("C=d"))
    }

    @Test func `A base without PATH gets the usual one for its commands, and its configuration stays as it is`() throws {
        let stage = try stage("from: scratch\nshell: {install: make}\n")
        #expect(try stage.run("install").environment == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
        #expect(stage.config.env.isEmpty)
    }

    private func key(_ directives: String, _ name: String, meta: String = "") throws -> Digest {
        let config = try WerfConfig(
            parsing: "project: demo\nconfigVersion: 1\n\(meta)---\nimage: app\nfrom: alpine\n" + directives, name: "werf.yaml")
        for step in try config.plan().stages[0].steps where step.name.contains("/\(name)]") {
            return step.key(parent: Chain.empty, platform: amd64, inputs: [])
        }
        throw Missing(what: name)
    }

    @Test func `A stage's commands and versions make its key`() throws {
        let plain = try key("shell: {install: a, setup: b}\n", "install")
        #expect(try key("shell: {install: a, setup: c}\n", "install") == plain)
        #expect(try key("shell: {install: c, setup: b}\n", "install") != plain)
        let changes = [
            "shell: {install: a, setup: b, installCacheVersion: 1}\n", "shell: {install: a, setup: b, cacheVersion: 1}\n",
            "shell: {install: a, setup: b}\ncacheVersion: 1\n", "shell: {install: a, setup: b}\nfromCacheVersion: 1\n",
        ]
        let keys = try changes.map { try key($0, "install") } + [plain]
        #expect(Set(keys).count == keys.count)
        #expect(try key("shell: {install: a, setup: b, setupCacheVersion: 1}\n", "install") == plain)
        #expect(
            try key("shell: {install: a, setup: b, setupCacheVersion: 1}\n", "setup") != key("shell: {install: a, setup: b}\n", "setup"))
    }

    @Test func `The file's cache version holds for images that have none`() throws {
        let shell = "shell: {install: a}\n"
        #expect(try key(shell, "install", meta: "build: {cacheVersion: x}\n") != key(shell, "install"))
        #expect(
            try key("cacheVersion: y\n" + shell, "install", meta: "build: {cacheVersion: x}\n")
                == key("cacheVersion: y\n" + shell, "install"))
    }

    @Test func `The network is that of the image, else the build's`() throws {
        #expect(try stage("from: alpine\nnetwork: none\nshell: {install: a}\n").run("install").network == NetworkMode.none)
        #expect(try stage("from: alpine\nnetwork: host\nshell: {install: a}\n").run("install").network == .host)
        let plan = try werf("image: app\nfrom: alpine\nshell: {install: a}\n").plan { $0.network = .none }
        #expect(try plan.stages[0].run("install").network == NetworkMode.none)
    }

    @Test func `Secrets are files in every shell stage, by an id that belongs to the image`() throws {
        let stage = try stage("from: alpine\nsecrets: [{env: TOKEN}, {id: key, src: ~/k}]\nshell: {beforeInstall: a, setup: b}\n")
        for name in ["beforeInstall", "setup"] {
            #expect(
                try stage.run(name).mounts == [
                    Mount(target: "/run/secrets/TOKEN", readOnly: true, kind: .secret(SecretMount(id: "app/TOKEN", required: true))),
                    Mount(target: "/run/secrets/key", readOnly: true, kind: .secret(SecretMount(id: "app/key", required: true))),
                ])
        }
    }

    @Test func `A secret's value is nowhere in the plan`() throws {
        let plan = try werf("image: app\nfrom: alpine\nsecrets: [{id: a, value: s3cr3t}]\nshell: {setup: b}\n").plan()
        #expect(!"\(plan)".contains("s3cr3t"))
    }

    @Test func `History names each stage`() throws {
        let stage = try stage("from: alpine\ngit: [{to: /app}]\nshell: {install: make}\ndocker: {USER: a}\n")
        #expect(stage.history.map(\.emptyLayer) == [false, false, false, true])
        #expect(stage.history[1].createdBy == "werf install: make")
        #expect(stage.steps.count == 3)
    }
}
