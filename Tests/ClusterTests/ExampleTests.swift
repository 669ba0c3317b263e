import FarmAPI
import Glibc
import Testing

/// The examples as their README tells: with a Debian base image and its package managers.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2), .serialized, .timeLimit(.minutes(20)))
struct ExampleTests {
    let cluster: TestCluster

    /// The folder of the package: four names above this file.
    private static let repository = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()

    init() async throws {
        cluster = try #require(TestCluster.current)
        let images = try await cluster.farm("image", "list")
        guard !images.output.contains("debian:bookworm") else { return }
        let file = cluster.folder.path("debian.tar")
        let made = try await Command.run(["\(Self.repository)/deploy/base-image.sh", file])
        try #require(made.status == 0, "\(made.testDescription)")
        let imported = try await cluster.farm("image", "import", "debian:bookworm", file)
        try #require(imported.status == 0, "\(imported.testDescription)")
    }

    private func submit(_ example: String, _ options: String...) async throws -> (BuildDescription, CommandResult) {
        let metadata = cluster.folder.path("metadata-\(UInt32.random(in: 0 ... .max))")
        let result = try await cluster.farm(
            ["submit", "--progress", "plain", "--metadata-file", metadata] + options + ["\(Self.repository)/examples/\(example)"],
            timeLimit: .seconds(600))
        try #require(result.status == 0, "\(result.testDescription)")
        let reference = try FarmJSON.decode([String: String].self, from: Array((TemporaryFolder.read(metadata) ?? "").utf8))
        return (try await cluster.show(try #require(reference["farm.build.ref"])), result)
    }

    @Test func `the C++ example finds its objects in ccache on the other agent`() async throws {
        let (_, first) = try await submit("cpp-ccache", "--require", "name=agent-1")
        #expect(first.error.contains("Misses"))
        let out = cluster.folder.path("primes")
        let (second, output) = try await submit("cpp-ccache", "--require", "name=agent-2", "--no-cache", "-o", out)
        #expect(second.stages.flatMap(\.steps).contains { $0.bytes.volumes > 0 })
        #expect(output.error.contains("Hits:               2 /"), "\(output.error.suffix(3000))")
        let run = try await Command.run(["\(out)/primes", "20"])
        #expect(run.output == "2\n3\n5\n7\n11\n13\n17\n19\n")
    }

    @Test func `the Python example downloads nothing a second time`() async throws {
        _ = try await submit("python-service", "--require", "name=agent-1")
        let (second, output) = try await submit("python-service", "--require", "name=agent-2", "--no-cache")
        #expect(second.stages.flatMap(\.steps).contains { $0.bytes.volumes > 0 })
        #expect(output.error.contains("File was already downloaded /var/cache/wheels/flask"), "\(output.error.suffix(3000))")
        #expect(!output.error.contains("Downloading "))
    }

    @Test func `the werf example downloads nothing a second time, on the other agent`() async throws {
        // A copy in a repository of its own: the commit is what is built.
        let project = try await GitProject(cluster, [:])
        defer { project.folder.remove() }
        let copied = try await Command.run(["cp", "-a", "\(Self.repository)/examples/werf-app/.", project.folder.root])
        try #require(copied.status == 0, "\(copied.testDescription)")
        try await project.commit([:])
        let (first, _) = try await project.build("--require", "name=agent-1")
        #expect(first.images?.isEmpty != false || first.images?.keys.sorted() == ["app"], "the image with pip is not exported")
        let (second, output) = try await project.build("--require", "name=agent-2", "--no-cache")
        #expect(second.stages.flatMap(\.steps).contains { $0.bytes.volumes > 0 })
        #expect(output.error.contains("File was already downloaded /var/cache/wheels/flask"), "\(output.error.suffix(3000))")
        #expect(!output.error.contains("Downloading "))
        // apt says for each of the two images what it has to fetch.
        let amounts = output.error.split(separator: "\n").filter { $0.contains("Need to get ") }
        #expect(amounts.count == 2 && amounts.allSatisfy { $0.contains("Need to get 0 B") }, "\(amounts)")
        #expect(output.error.contains("test_guests_are_kept_in_their_order"))
        try await project.commit(["app/test_guestbook.py": "import unittest\n"])
        let (third, _) = try await project.build("--require", "name=agent-2")
        #expect(
            third.stages.flatMap(\.steps).filter { !$0.cached }.allSatisfy {
                $0.name.contains("setup") || $0.name.contains("gitLatestPatch")
            })
    }

    @Test func `the parallel example compiles on two agents at once`() async throws {
        let (build, _) = try await submit("parallel")
        let reader = try #require(build.stages.first { $0.name == "reader" })
        let writer = try #require(build.stages.first { $0.name == "writer" })
        #expect(reader.agent != writer.agent)
        let out = cluster.folder.path("parallel")
        _ = try await submit("parallel", "-o", out)
        let counted = try await Command.run(["sh", "-c", "bin/writer | bin/reader"], in: out)
        #expect(counted.line == "1000")
    }
}
