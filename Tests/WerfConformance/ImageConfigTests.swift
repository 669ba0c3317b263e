import BuildPlan
import Testing

@testable import WerfFrontend

@Suite struct DockerDirectiveTests {
    private func config(_ docker: String, base: (inout ImageConfig) -> Void = { _ in }) throws -> ImageConfig {
        try stage("from: alpine\ndocker:\n" + docker, bases: [baseImage("alpine", base)]).config
    }

    @Test func `Each directive changes the image as its instruction does`() throws {
        let config = try config(
            """
              ENV: {B: "2", A: one two}
              LABEL: {com.example: yes}
              EXPOSE: ["80", 53/udp]
              VOLUME: [/b, /a]
              USER: app:1
              WORKDIR: /srv/app/
              HEALTHCHECK: --interval=30s CMD curl localhost

            """)
        #expect(config.env == ["B=2", "A=one two"])
        #expect(config.labels == ["com.example": "yes"])
        #expect(config.exposedPorts == ["53/udp", "80/tcp"])
        #expect(config.volumes == ["/a", "/b"])
        #expect(config.user == "app:1")
        #expect(config.workingDirectory == "/srv/app")
        #expect(config.healthcheck?.test == ["CMD-SHELL", "curl localhost"])
        #expect(config.healthcheck?.interval == 30_000_000_000)
    }

    @Test func `Variables are added to the base's and may use them`() throws {
        let config = try config("  ENV: {PATH: '/app:$PATH', C: '${A:-none}'}\n") { $0.env = ["PATH=/bin", "B=x"] }
        #expect(config.env == ["PATH=/app:/bin", "B=x", "C=none"])
    }

    @Test(arguments: [
        ("  CMD: [a, b c]\n", ["a", "b c"]), ("  CMD: '[\"a\", \"b\"]'\n", ["a", "b"]), ("  CMD: a b\n", ["/bin/sh", "-c", "a b"]),
    ])
    func `A command is a list, or a text in shell or JSON form`(_ docker: String, _ command: [String]) throws {
        #expect(try config(docker).cmd == command)
    }

    @Test func `A command of the file takes away the base's entry point, an entry point the base's command`() throws {
        let base: (inout ImageConfig) -> Void = {
            $0.entrypoint = ["e"]
            $0.cmd = ["c"]
        }
        let command = try config("  CMD: [x]\n", base: base)
        #expect(command.entrypoint == nil && command.cmd == ["x"])
        let entrypoint = try config("  ENTRYPOINT: [x]\n", base: base)
        #expect(entrypoint.entrypoint == ["x"] && entrypoint.cmd == nil)
        let both = try config("  ENTRYPOINT: [x]\n  CMD: [y]\n", base: base)
        #expect(both.entrypoint == ["x"] && both.cmd == ["y"])
        let none = try config("  USER: a\n", base: base)
        #expect(none.entrypoint == ["e"] && none.cmd == ["c"])
    }
}

@Suite struct ImageSpecTests {
    private func stage(_ spec: String, base: (inout ImageConfig) -> Void = { _ in }) throws -> Stage {
        try WerfConformance.stage("from: alpine\nshell: {install: x}\nimageSpec:\n" + spec, bases: [baseImage("alpine", base)])
    }

    @Test func `Each directive of the configuration is set`() throws {
        let config = try stage(
            """
              author: me
              config:
                cmd: [a]
                entrypoint: [b]
                env: {PATH: "/app:${PATH}"}
                expose: [80, 53/udp]
                healthcheck: {test: [CMD, x], interval: 30, timeout: 5, startPeriod: 1, retries: 3}
                labels: {"%project%/name": "%image%"}
                stopSignal: SIGINT
                user: "1000"
                volumes: [/v]
                workingDir: /w

            """
        ) { $0.env = ["PATH=/bin"] }.config
        #expect(config.author == "me")
        #expect(config.cmd == ["a"] && config.entrypoint == ["b"])
        #expect(config.env == ["PATH=/app:/bin"])
        #expect(config.exposedPorts == ["53/udp", "80/tcp"])
        #expect(
            config.healthcheck?.test == ["CMD", "x"] && config.healthcheck?.interval == 30_000_000_000 && config.healthcheck?.retries == 3)
        #expect(config.labels == ["demo/name": "app"])
        #expect(config.stopSignal == "SIGINT")
        #expect(config.user == "1000")
        #expect(config.volumes == ["/v"])
        #expect(config.workingDirectory == "/w")
    }

    @Test func `What the base has is removed where the file says so`() throws {
        let config = try stage(
            "  config: {removeEnv: [A], removeLabels: [l], removeVolumes: [/v], clearCmd: true, clearEntrypoint: true, clearUser: true, clearWorkingDir: true}\n"
        ) {
            $0.env = ["A=1", "AB=2"]
            $0.labels = ["l": "1", "m": "2"]
            $0.volumes = ["/v", "/w"]
            $0.cmd = ["c"]
            $0.entrypoint = ["e"]
            $0.user = "u"
            $0.workingDirectory = "/d"
        }.config
        #expect(config.env == ["AB=2"])
        #expect(config.labels == ["m": "2"])
        #expect(config.volumes == ["/w"])
        #expect(config.cmd == nil && config.entrypoint == nil && config.user == nil && config.workingDirectory == nil)
    }

    @Test func `An entry point without a command takes away the base's command`() throws {
        let config = try stage("  config: {entrypoint: [e]}\n") { $0.cmd = ["c"] }.config
        #expect(config.entrypoint == ["e"] && config.cmd == nil)
    }

    @Test func `A cleared history says nothing of how the image was made, and has an entry for each layer`() throws {
        let stage = try stage("  clearHistory: true\n")
        #expect(stage.history.allSatisfy { $0.createdBy.isEmpty && $0.comment == nil && $0.author == nil })
        #expect(stage.history.count { !$0.emptyLayer } == stage.steps.count)
    }

    @Test func `The file's global specification holds for final images and counts before their own labels`() throws {
        let config = try WerfConfig(
            parsing: """
                project: demo
                configVersion: 1
                build:
                  imageSpec: {author: all, config: {labels: {a: global}, removeLabels: [r]}}
                ---
                image: one
                from: alpine
                imageSpec: {author: own, config: {labels: {a: own, b: own}}}
                ---
                image: two
                from: alpine
                final: false

                """, name: "werf.yaml")
        let plan = try config.plan(["one", "two"], bases: [baseImage("alpine") { $0.labels = ["r": "x"] }])
        #expect(try plan.stage(of: "one").config.labels == ["a": "global", "b": "own"])
        #expect(try plan.stage(of: "one").config.author == "own")
        #expect(try plan.stage(of: "two").config.labels == ["r": "x"])
    }

    @Test func `Labels of the command line are set over all others`() throws {
        let plan = try werf("image: a\nfrom: alpine\ndocker: {LABEL: {l: file, m: file}}\n").plan { $0.labels = ["l": "given"] }
        #expect(try plan.stage(of: "a").config.labels == ["l": "given", "m": "file"])
    }
}
