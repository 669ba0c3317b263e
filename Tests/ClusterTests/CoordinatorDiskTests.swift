import FarmAPI
import Glibc
import Testing

/// A coordinator whose disk is full.
@Suite(
    .enabled(if: geteuid() == 0, "needs root"),
    .cluster(agents: 1, environment: ["FARM_RESERVED_SPACE": "0"], diskSizes: ["coordinator": 64]), .serialized, .timeLimit(.minutes(10)))
struct CoordinatorDiskTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    @Test func `a submission to a coordinator with a full disk says so at once, and goes on by itself when there is room`() async throws {
        defer { context.remove() }
        try context.write("FROM busybox\nRUN echo built\n", to: "Dockerfile")
        let filler = "\(cluster.data)/coordinator/filler"
        let filled = try await Command.run(["sh", "-c", "dd if=/dev/zero of='\(filler)' bs=4096 2>/dev/null; sync"])
        defer { unlink(filler) }
        #expect(filled.status == 0)
        let error = context.path("submit.err")
        let process = try Command.start(
            ["\(Command.programs)/farm", "submit", "--progress", "plain", "--project", "full", context.root],
            environment: ["FARM_CONFIG": cluster.configuration, "XDG_CACHE_HOME": cluster.folder.path("cache")],
            output: context.path("submit.out"), error: error)
        try await eventually("the user is told why nothing happens", within: .seconds(15)) {
            (TemporaryFolder.read(error) ?? "").contains("trying again")
        }
        #expect((TemporaryFolder.read(error) ?? "").contains("disk"))
        unlink(filler)
        #expect(await Command.wait(for: process) == 0, "\(TemporaryFolder.read(error) ?? "")")
        let list = try await cluster.farm("builds", "--json")
        let builds = try FarmJSON.decode([BuildDescription].self, from: Array(list.output.utf8)).filter { $0.project == "full" }
        #expect(builds.map(\.status) == [.succeeded], "it is one build, however often it was asked for")
    }
}
