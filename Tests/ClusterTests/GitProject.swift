import FarmAPI
import Testing

/// A project with a werf.yaml in a git repository of a test's own.
struct GitProject {
    let folder: TemporaryFolder
    let cluster: TestCluster

    /// A repository with these files in its first commit; without files it has none yet.
    init(_ cluster: TestCluster, _ files: [String: String]) async throws {
        self.cluster = cluster
        folder = try TemporaryFolder()
        try await git("init", "--quiet")
        if !files.isEmpty { try await commit(files) }
    }

    /// Changes files and commits.
    func commit(_ files: [String: String]) async throws {
        for (name, text) in files { try folder.write(text, to: name) }
        try await git("add", "--all")
        try await git("-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "--quiet", "--message", "change")
    }

    func git(_ arguments: String...) async throws {
        let result = try await Command.run(["git", "-C", folder.root] + arguments)
        try #require(result.status == 0, "\(result.testDescription)")
    }

    /// `farm submit`, whatever comes of it.
    func submit(_ options: String..., environment: [String: String] = [:]) async throws -> CommandResult {
        try await cluster.farm(["submit", "--progress", "plain"] + options + [folder.root], environment: environment)
    }

    /// `farm submit` that succeeds: what it printed, and the build as `farm show --json` tells it.
    func build(_ options: String..., environment: [String: String] = [:]) async throws -> (build: BuildDescription, result: CommandResult) {
        let scratch = try TemporaryFolder()
        defer { scratch.remove() }
        let metadata = scratch.path("metadata")
        let result = try await cluster.farm(
            ["submit", "--progress", "plain", "--metadata-file", metadata] + options + [folder.root], environment: environment)
        try #require(result.status == 0, "\(result.testDescription)")
        struct Reference: Decodable {
            var build: String
            enum CodingKeys: String, CodingKey { case build = "farm.build.ref" }
        }
        let reference = try FarmJSON.decode(Reference.self, from: Array((TemporaryFolder.read(metadata) ?? "").utf8))
        return (try await cluster.show(reference.build), result)
    }
}

extension BuildDescription {
    /// The steps whose names have a text in them.
    func steps(_ text: String) -> [Step] { stages.flatMap(\.steps).filter { $0.name.contains(text) } }
}
