import BuildPlan
import Testing

@testable import WerfFrontend

@Suite struct FactsTests {
    private func config() throws -> WerfConfig {
        try werf(
            """
            image: base
            from: alpine
            final: false
            mount:
            - {from: build_dir, to: /var/cache/apt}
            - {from: tmp_dir, to: /tmp/x}
            - {fromPath: /srv//data/, to: /data}

            """,
            """
            image: [a, b]
            from: base
            secrets:
            - env: TOKEN
            - {id: key, src: ~/.ssh/id}
            - {id: word, value: x}

            """,
            """
            image: web
            dockerfile: docker/Dockerfile
            context: services/web
            secrets: [{env: TOKEN}]

            """)
    }

    @Test func `The images, their names and which of them are final are known before anything is submitted`() throws {
        let config = try config()
        #expect(config.project == "demo")
        #expect(config.images.map(\.name) == ["base", "a", "b", "web"])
        #expect(config.images.map(\.isFinal) == [false, true, true, true])
        #expect(config.images.map(\.line) == [4, 12, 12, 19])
        #expect(try config.selected([]).map(\.name) == ["a", "b", "web"])
        #expect(try config.selected(["web", "base"]).map(\.name) == ["base", "web"])
    }

    @Test func `An unknown name of an image is an error that lists those of the file`() throws {
        let config = try config()
        let error = #expect(throws: WerfError.self) { try config.selected(["wep"]) }
        #expect(error?.description == "werf.yaml: there is no image 'wep' (did you mean web?): the file has base, a, b, web")
    }

    @Test func `What needs a permission is known with its line, also of images that are only needed`() throws {
        let permissions = try config().permissions(of: ["a"])
        #expect(
            permissions.map(\.kind) == [
                .buildDirectory, .hostPath("/srv/data"), .secretVariable("TOKEN"), .secretFile("~/.ssh/id"), .secretValue("word"),
            ])
        #expect(permissions.map(\.line) == [8, 10, 15, 16, 17])
        #expect(permissions.map(\.image) == ["base", "base", "a", "a", "a"])
        #expect(try config().permissions(of: ["web"]).map(\.kind) == [.secretVariable("TOKEN")])
    }

    @Test func `A secret has an id of the build that belongs to one image`() throws {
        let secrets = try config().secrets()
        #expect(secrets.map(\.qualifiedID) == ["a/TOKEN", "a/key", "a/word", "b/TOKEN", "b/key", "b/word", "web/TOKEN"])
        #expect(secrets.first?.source == .variable("TOKEN"))
    }

    @Test func `The files that planning reads are known: Dockerfiles and what they ignore`() throws {
        let files = try config().files()
        #expect(
            files.map(\.path) == [
                "services/web/docker/Dockerfile", "services/web/docker/Dockerfile.dockerignore", "services/web/.dockerignore",
            ])
        #expect(files.map(\.isRequired) == [true, false, false])
        #expect(files.map(\.line) == [20, 20, 20])
        #expect(try config().files(of: ["a"]).isEmpty)
    }

    @Test func `The platform of the images is known; two of them are refused`() throws {
        let one = try werf("image: a\nfrom: x\nplatform: linux/arm64\n", "image: b\nfrom: x\n")
        #expect(try one.platform() == Platform(os: "linux", architecture: "arm64"))
        #expect(try one.platform(of: ["b"]) == nil)
        let two = try werf("image: a\nfrom: x\nplatform: linux/arm64\n", "image: b\nfrom: x\nplatform: [linux/amd64]\n")
        #expect(throws: WerfError.self) { try two.platform() }
    }
}
