import FarmAPI
import Glibc
import Testing

@testable import Client

/// A project on its way to the coordinator, up to where that would be asked.
@Suite struct WerfSourceTests {
    static let config = "project: shop\nconfigVersion: 1\n---\nimage: app\nfrom: debian\n"

    func project(_ files: [String: String]) throws -> TemporaryRepository {
        let repository = try TemporaryRepository()
        for (name, text) in files { try repository.write(text, to: name) }
        try repository.commit()
        return repository
    }

    func source(
        _ repository: TemporaryRepository, in folder: String = "", environment: [String: String] = [:],
        _ change: (inout SubmitOptions) -> Void = { _ in }
    ) throws -> BuildSource {
        var options = SubmitOptions()
        options.context = folder.isEmpty ? repository.folder : "\(repository.folder)/\(folder)"
        change(&options)
        let source = try BuildSource.find(options, environment: repository.environment.merging(environment) { $1 })
        source.werf?.checkout?.release()
        return source
    }

    func failure(
        _ repository: TemporaryRepository, environment: [String: String] = [:], _ change: (inout SubmitOptions) -> Void = { _ in }
    ) -> ClientError? {
        #expect(throws: ClientError.self) { try source(repository, environment: environment, change) }
    }

    @Test func `a project with a werf.yaml is built from its commit, under its own name`() throws {
        let repository = try project(["werf.yaml": Self.config, "main.c": "1"])
        defer { repository.remove() }
        let source = try source(repository)
        #expect(source.project == "shop")
        #expect(source.name == "werf.yaml")
        #expect(source.werf?.names == ["app"])
        #expect(source.origin == "commit \(try repository.git("rev-parse", "HEAD").prefix(12)) of \(repository.folder)")
        #expect(source.werf?.request == WerfRequest(config: Self.config, name: "werf.yaml", images: []))
        #expect(source.warnings.isEmpty)
        #expect(TemporaryRepository.text("\(source.context)/main.c") == "1")
        #expect(try self.source(repository) { $0.project = "other" }.project == "other")
    }

    @Test func `what is not committed is not built, and is named`() throws {
        let repository = try project(["werf.yaml": Self.config, "main.c": "1"])
        defer { repository.remove() }
        try repository.write("2", to: "main.c")
        try repository.write(Self.config.replacing("shop", with: "changed"), to: "werf.yaml")
        let source = try source(repository)
        #expect(source.project == "shop")
        #expect(TemporaryRepository.text("\(source.context)/main.c") == "1")
        #expect(source.warnings.count == 1)
        #expect(source.warnings.first?.hasPrefix("not committed, and so not built: main.c, werf.yaml; commit, or") == true)
    }

    @Test(arguments: [
        (
            "mount:\n- from: build_dir\n  to: /c\n", "mount: {allowBuildDir: true}",
            "werf.yaml:7: a mount from build_dir is not allowed by giterminism: set config.stapel.mount.allowBuildDir of werf-giterminism.yaml"
        ),
        (
            "mount:\n- fromPath: /var/x/y\n  to: /c\n", "mount: {allowFromPaths: [/var/x]}",
            "werf.yaml:7: the mount fromPath /var/x/y is not allowed by giterminism: list it in config.stapel.mount.allowFromPaths"
        ),
    ])
    func `what giterminism forbids is an error with its line, unless the project or --loose allows it`(
        directive: String, rule: String, says: String
    ) throws {
        let repository = try project(["werf.yaml": Self.config + directive])
        defer { repository.remove() }
        let error = failure(repository)
        #expect(error?.description.hasPrefix(says) == true, "\(error?.description ?? "")")
        _ = try source(repository) { $0.loose = true }
        try repository.write("giterminismConfigVersion: 1\nconfig: {stapel: {\(rule)}}\n", to: "werf-giterminism.yaml")
        #expect(failure(repository) != nil, "the rules that count are the commit's")
        try repository.commit()
        _ = try source(repository)
    }

    @Test func `secrets need permission and are sent under their image's name`() throws {
        let repository = try project([
            "werf.yaml": Self.config + "secrets:\n- env: TOKEN\n- id: file\n  src: ../key\n- id: word\n  value: quite-secret\n",
            "../key": "from a file",
        ])
        defer { repository.remove() }
        #expect(failure(repository)?.description.contains("werf.yaml:7: the secret from the variable TOKEN") == true)
        try repository.write(
            """
            giterminismConfigVersion: 1
            config: {secrets: {allowEnvVariables: [TOKEN], allowFiles: [../key], allowValueIds: [word]}}

            """, to: "werf-giterminism.yaml")
        try repository.commit()
        let source = try source(repository, environment: ["TOKEN": "t"])
        #expect(
            source.secrets.values.mapValues { String(decoding: $0, as: UTF8.self) } == [
                "app/TOKEN": "t", "app/file": "from a file", "app/word": "quite-secret",
            ])
        #expect(source.text.hasSuffix("value: xxxxxxxxxxxx\n"))
        #expect(source.werf?.request.config == source.text)
        #expect(failure(repository)?.description.contains("there is no environment variable TOKEN") == true)
    }

    @Test func `images are chosen by name`() throws {
        let repository = try project([
            "werf.yaml": "project: p\nconfigVersion: 1\n---\nimage: base\nfinal: false\nfrom: debian\n---\nimage: [api, web]\nfrom: base\n"
        ])
        defer { repository.remove() }
        #expect(try source(repository).werf?.names == ["api", "web"])
        let chosen = try source(repository) { $0.images = ["web", "base"] }
        #expect(chosen.werf?.names == ["base", "web"])
        #expect(chosen.werf?.request.images == ["web", "base"])
        let unknown = failure(repository) { $0.images = ["wed"] }
        #expect(unknown?.description.contains("there is no image 'wed' (did you mean web?): the file has base, api, web") == true)
        let output = failure(repository) { $0.outputs = [OutputSpec(form: .archive(.oci), destination: .path("x"))] }
        #expect(output?.description.contains("choose one of api, web by --image") == true)
        #expect(output?.exitCode == 2)
        #expect(failure(repository) { $0.build.tags = ["a:1"] } != nil)
        _ = try source(repository) {
            $0.images = ["web"]
            $0.build.tags = ["a:1"]
        }
    }

    @Test func `a Dockerfile's options are refused for a werf.yaml, and the other way round`() throws {
        let repository = try project(["werf.yaml": Self.config, "Dockerfile": "FROM scratch\n", "plain/Dockerfile": "FROM scratch\n"])
        defer { repository.remove() }
        for (option, change): (String, (inout SubmitOptions) -> Void) in [
            ("--target", { $0.build.target = "a" }), ("--build-arg", { $0.build.buildArguments = ["a": "b"] }),
            ("--secret", { $0.secrets = [SecretOption(id: "a", source: .automatic)] }),
        ] {
            let error = failure(repository, change)
            #expect(error?.description.hasPrefix("\(option) is not for a werf.yaml") == true)
            #expect(error?.exitCode == 2)
        }
        for (option, change): (String, (inout SubmitOptions) -> Void) in [
            ("--image", { $0.images = ["a"] }), ("--loose", { $0.loose = true }), ("--env", { $0.environmentName = "a" }),
        ] {
            let error = #expect(throws: ClientError.self) { try source(repository, in: "plain", change) }
            #expect(error?.description.hasPrefix("\(option) is for a werf.yaml") == true)
        }
    }

    @Test func `-f chooses between a werf.yaml and a Dockerfile`() throws {
        let repository = try project(["werf.yaml": Self.config, "Dockerfile": "FROM scratch\n", "deploy/werf-2.yaml": Self.config])
        defer { repository.remove() }
        #expect(try source(repository).werf != nil)
        #expect(try source(repository) { $0.file = "\(repository.folder)/Dockerfile" }.werf == nil)
        #expect(try source(repository) { $0.file = "\(repository.folder)/deploy/werf-2.yaml" }.name == "deploy/werf-2.yaml")
        let outside = failure(repository) { $0.file = "/etc/werf.yaml" }
        #expect(outside?.description.contains("is not in the folder that is built") == true)
        let missing = failure(repository) { $0.file = "\(repository.folder)/werf-3.yaml" }
        #expect(
            missing?.description.hasPrefix("werf-3.yaml is not in the commit: add and commit it") == true, "\(missing?.description ?? "")")
    }

    @Test func `the Dockerfiles of a werf.yaml go with it, from the commit`() throws {
        let repository = try project([
            "werf.yaml": "project: p\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\ncontext: app\n",
            "app/Dockerfile": "FROM scratch\n", "app/.dockerignore": "*.o\n",
        ])
        defer { repository.remove() }
        try repository.write("FROM changed\n", to: "app/Dockerfile")
        #expect(try source(repository).werf?.request.files == ["app/Dockerfile": "FROM scratch\n", "app/.dockerignore": "*.o\n"])
        try repository.git("rm", "--quiet", "--cached", "app/Dockerfile")
        try repository.git("commit", "--quiet", "--message", "gone")
        let error = failure(repository)
        #expect(error?.description == "werf.yaml:5: app/Dockerfile is not in the commit")
    }

    @Test func `a project may be a folder of its repository`() throws {
        let repository = try project(["services/app/werf.yaml": Self.config, "services/app/main.c": "1", "other": ""])
        defer { repository.remove() }
        let source = try source(repository, in: "services/app")
        #expect(TemporaryRepository.text("\(source.context)/main.c") == "1")
        #expect(access("\(source.context)/other", F_OK) != 0)
    }
}
