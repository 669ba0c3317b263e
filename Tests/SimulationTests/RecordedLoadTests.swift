import BuildPlan
import Digests
import FarmAPI
import Foundation
import Simulation
import Store
import Testing

@Suite("Recorded loads", .timeLimit(.minutes(1))) struct RecordedLoadTests {
    private static let platform = Platform(os: "linux", architecture: "amd64")

    private func withHistory(_ changes: [Change], _ body: (String) async throws -> Void) async throws {
        let path = "/tmp/farm-recorded-\(UUID().uuidString).sqlite"
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        let store = try Store(path: path)
        try await store.write(changes).durable()
        // While the coordinator has it open.
        try await body(path)
        try await store.close()
    }

    private func build(_ id: String, user: String, at seconds: Int64) -> StoredBuild {
        var build = StoredBuild(
            id: id, user: user,
            request: SubmitRequest(
                project: "app", dockerfile: "FROM base", dockerfileName: "Dockerfile", contextRoot: Digest.of("r"), options: BuildOptions(),
                requestID: id), platform: Self.platform, uploaded: true, createdAt: Timestamp(seconds: seconds))
        func run(_ command: String, _ mounts: [Mount]) -> RunOperation {
            RunOperation(arguments: [command], environment: [], workingDirectory: "/", mounts: mounts)
        }
        let mount = Mount(target: "/cache", readOnly: false, kind: .cache(CacheMount(id: "ccache")))
        let compile = Step(name: "RUN make", operation: .run(run("make", [mount])), lines: 1...1)
        let pack = Step(name: "RUN tar", operation: .run(run("tar", [])), lines: 2...2)
        let config = ImageConfig()
        build.plan = StoredPlan(
            plan: Plan(
                stages: [
                    Stage(name: "compile", base: .image("base"), steps: [compile], config: config, history: []),
                    Stage(name: "pack", base: .stage(0), steps: [pack], config: config, history: []),
                ], target: 1, platform: Self.platform),
            images: [
                "base": BaseImage(
                    name: "base", platform: Self.platform, config: config, history: [],
                    layers: [LayerDescriptor(diffID: Digest.of("base"), size: 700)])
            ])
        build.status = .succeeded
        return build
    }

    private func rows(_ build: String, _ stage: Int, seconds: Int64, cached: Bool = false) -> [Change] {
        var step = StoredStep(build: build, stage: stage, number: 0, name: "RUN")
        step.status = .succeeded
        step.cached = cached
        step.startedAt = Timestamp(seconds: 100)
        step.finishedAt = Timestamp(seconds: 100 + seconds)
        step.layer = LayerDescriptor(diffID: Digest.of("\(build)\(stage)"), size: 50)
        return [.put(StoredStage(build: build, number: stage, name: "stage")), .put(step)]
    }

    private var history: [Change] {
        let builds = [build("b1", user: "ada", at: 1000), build("b2", user: "bob", at: 1030), build("b3", user: "ada", at: 1040)]
        var volume = StoredVolume(key: VolumeKey(project: "app", id: "ccache", platform: Self.platform))
        volume.head = 2
        volume.bytes = 9000
        volume.publications = [20, 40].enumerated().map {
            StoredVolume.Publication(
                generation: $0 + 1, parent: $0, digest: Digest.of("\($0)"), bytes: $1, time: Timestamp(seconds: 1))
        }
        let agent = StoredAgent(
            name: "a",
            hello: AgentHello(
                epoch: "e", labels: [:], slots: 3, address: "h:1", runtime: "crun", version: "1", assignments: [], layers: [], volumes: []),
            drained: false, lastSeen: Timestamp(seconds: 0), report: 0)
        // Of the second build only the last stage ran, of the third none.
        return builds.flatMap { build in [Change.insert(build), .update(build)] + (build.plan.map { [.plan($0, of: build.id)] } ?? []) }
            + [.put(volume), .put(agent)]
            + rows("b1", 0, seconds: 12) + rows("b1", 1, seconds: 3) + rows("b2", 0, seconds: 1, cached: true) + rows("b2", 1, seconds: 4)
            + rows("b3", 0, seconds: 1, cached: true) + rows("b3", 1, seconds: 1, cached: true)
    }

    @Test func `what a farm did is what the simulator does again: what ran, when it came, how long it took, what it mounted`() async throws
    {
        try await withHistory(history) { path in
            let load = try Load.recorded(History(reading: path), name: "farm")
            try load.check()
            #expect(load.agents.map(\.slots) == [3])
            #expect(load.bases == [700])
            #expect(load.builds.map(\.arrives) == [0, 30] && load.builds.map(\.user) == [0, 1])
            #expect(load.builds.map { $0.stages.map(\.duration) } == [[12, 3], [4]])
            #expect(load.builds.map { $0.stages.map(\.dependencies) } == [[[], [0]], [[]]])
            #expect(load.builds.map { $0.stages.map(\.volumes) } == [[[0], []], [[]]])
            #expect(load.builds[0].stages[1].kind == load.builds[1].stages[0].kind)
            #expect(load.volumes.map(\.bytes) == [9000] && load.volumes.map(\.deltaBytes) == [30])
            var simulator = Simulator(load, FarmPolicy())
            let figures = simulator.run()
            #expect(figures.decisions == 3 && figures.makespan >= 34)
        }
    }

    @Test func `a database in which nothing ran is refused, and so is a file that is none`() async throws {
        try await withHistory([]) { path in
            #expect(throws: LoadError.self) { try Load.recorded(History(reading: path), name: "farm") }
        }
        let path = "/tmp/farm-recorded-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("no database, but long enough to be looked at as one: ".utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: StoreError.self) { try History(reading: path) }
        #expect(throws: StoreError.self) { try History(reading: path + "-not-there") }
    }
}
