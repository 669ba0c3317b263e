import BuildPlan
import Digests
import FarmAPI
import FoundationEssentials
import GRDB
import Logging
import Testing

@testable import Store

@Suite("The store", .timeLimit(.minutes(1))) struct StoreTests {
    private static let platform = Platform(os: "linux", architecture: "amd64")

    private func withFile<T>(_ body: (String) async throws -> T) async throws -> T {
        let path = "/tmp/farm-store-\(UUID().uuidString).sqlite"
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        return try await body(path)
    }

    private func open(_ path: String) throws -> Store {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try Store(path: path, logger: logger)
    }

    private func build(_ id: String, createdAt: Int64 = 0) -> StoredBuild {
        StoredBuild(
            id: id, user: "u",
            request: SubmitRequest(
                project: "p", dockerfile: "FROM scratch", dockerfileName: "Dockerfile", contextRoot: Digest.of("r"),
                options: BuildOptions(),
                requestID: id), platform: Self.platform, uploaded: true, createdAt: Timestamp(seconds: createdAt))
    }

    private static let result = StoredResult(
        digest: Digest.of("m"), configDigest: Digest.of("c"), manifest: "m", config: "c",
        layers: [LayerDescriptor(diffID: Digest.of("layer"), size: 7)])

    private func agent(_ name: String) -> StoredAgent {
        StoredAgent(
            name: name, labels: ["a": "b"], slots: 2, address: "h:1", runtime: "crun", version: "1", hostPaths: ["/srv"],
            resources: AgentResources(cpus: 1.5, memory: 1 << 30, stepCPUs: 1, withoutLimits: "w", emulated: [Self.platform]),
            drained: false, lastSeen: .epoch, epoch: "e", report: 0)
    }

    @Test func `what was acknowledged is there when the file is opened again`() async throws {
        try await withFile { path in
            let store = try open(path)
            var build = build("b1")
            var step = StoredStep(build: "b1", stage: 0, number: 0, name: "RUN x")
            step.status = .succeeded
            step.key = Digest.of("key")
            step.layer = LayerDescriptor(diffID: Digest.of("layer"), size: 7)
            step.createdAt = Timestamp(nanoseconds: 123_456_789)
            step.bytes.volumes = 9
            step.files = Digest.of("root")
            build.images = ["app": Self.result]
            let lock = StoredLock(
                lock: "l", assignment: "a1", agent: "x",
                needs: [AcquireVolumes.Need(key: VolumeKey(project: "p", id: "i", platform: Self.platform), sharing: .locked)],
                forks: [false])
            var volume = StoredVolume(key: VolumeKey(project: "p", id: "i", platform: Self.platform))
            volume.head = 3
            volume.publications = [
                StoredVolume.Publication(generation: 3, parent: 2, digest: Digest.of("d"), bytes: 5, time: Timestamp(seconds: 7))
            ]
            var stage = StoredStage(build: "b1", number: 0, name: "main")
            stage.decision = PlacementDecision(
                outcome: .waiting, time: Timestamp(seconds: 3), agent: "x",
                candidates: [.init(agent: "x", queue: 1, transfer: .infinity, run: 3, adjustment: -1, bytes: ReceivedBytes())], compared: 2,
                usual: .init(runs: 2, mean: 1, deviation: 0.5))
            let aside = StoredSetAside(reason: "r", until: Timestamp(seconds: 9), level: 2, isOnTrial: true)
            try await store.write([
                .insert(build), .update(build), .put(stage), .put(step),
                .append(BuildEvent(sequence: 1, time: .epoch, kind: .warning(text: "w")), to: "b1"), .put(agent("x")),
                .add(LayerDescriptor(diffID: Digest.of("layer"), size: 7), to: "x"),
                .insert(StoredAssignment(id: "a1", build: "b1", stage: 0, agent: "x", epoch: "e", attempt: 1, firstStep: 0)), .put(lock),
                .put(volume), .setLastUse(Timestamp(seconds: 9), of: volume.key),
                .put(HeldVolume(key: volume.key, generation: 3), agent: "x"),
                .put(aside, of: "x"), .put(StoredBandwidth(from: "y", to: "x", rate: 5, measuredAt: Timestamp(seconds: 9))),
                .put(StoredBandwidth(from: nil, to: "x", rate: 4, measuredAt: Timestamp(seconds: 2))),
                .put(StoredBandwidth(from: nil, to: "x", rate: 6, measuredAt: Timestamp(seconds: 8))),
                .put(StoredBandwidth(from: "z", to: "x", rate: 6, measuredAt: Timestamp(seconds: 1))),
                .removeBandwidths(measuredBefore: Timestamp(seconds: 2)),
                .put(StoredDuration(project: "p", stage: "main", count: 1, mean: 2.5, variance: 4)), .setReport(17, of: "x", at: .epoch),
                .put(
                    StoredRecord(
                        key: Digest.of("key"), layer: LayerDescriptor(diffID: Digest.of("layer"), size: 7), createdAt: .epoch,
                        files: Digest.of("root"))),
                .put(SelectionDigest(path: "p", wildcards: true, digest: Digest.of("s")), chain: Digest.of("chain"), at: .epoch),
            ]).durable()
            // Nothing is closed: as after SIGKILL, the second finds the log of the first.
            let other = try open(path)
            let state = try await other.load()
            #expect(state.builds.map(\.build.id) == ["b1"])
            #expect(state.builds[0].lastEvent == 1)
            #expect(state.builds[0].build.images == ["app": Self.result])
            #expect(try await other.builds(limit: 1).first?.images == ["app": Self.result])
            #expect(state.builds[0].steps.first?.files == Digest.of("root"))
            #expect(try await other.record(Digest.of("key"))?.files == Digest.of("root"))
            #expect(state.agents.first?.hostPaths == ["/srv"])
            #expect(state.agents.first?.setAside == aside)
            #expect(state.bandwidths.map(\.from) == [nil, "y"] && state.bandwidths.map(\.rate) == [6, 5])
            #expect(state.agents.first?.resources == agent("x").resources)
            #expect(state.volumes.map(\.publications) == [volume.publications])
            #expect(state.volumes.map(\.lastUse) == [Timestamp(seconds: 9)])
            #expect(state.builds[0].steps[0].layer == step.layer)
            #expect(state.builds[0].steps[0].key == step.key)
            #expect(state.builds[0].steps[0].createdAt == step.createdAt)
            #expect(state.builds[0].steps[0].bytes.volumes == 9)
            #expect(state.builds[0].build.request.contextRoot == Digest.of("r"))
            #expect(state.agents.map(\.report) == [17])
            #expect(state.agents.map(\.labels) == [["a": "b"]])
            #expect(state.layers["x"] == [LayerDescriptor(diffID: Digest.of("layer"), size: 7)])
            #expect(state.heldVolumes["x"]?.map(\.generation) == [3])
            #expect(state.assignments.map(\.id) == ["a1"])
            #expect(state.locks.map(\.needs.count) == [1])
            #expect(state.durations == [StoredDuration(project: "p", stage: "main", count: 1, mean: 2.5, variance: 4)])
            #expect(state.builds[0].stages[0].decision == stage.decision)
            #expect(try await other.record(Digest.of("key"))?.layer == step.layer)
            #expect(try await other.selection(chain: Digest.of("chain"), path: "p", wildcards: true) == Digest.of("s"))
            #expect(try await other.selection(chain: Digest.of("chain"), path: "p", wildcards: false) == nil)
            build.status = .succeeded
            build.finishedAt = Timestamp(seconds: 5)
            build.failure = nil
            build.image = StoredResult(
                digest: Digest.of("m"), configDigest: Digest.of("c"), manifest: "{}", config: "{}",
                layers: [LayerDescriptor(diffID: Digest.of("layer"), size: 7)])
            try await other.write([.update(build), .removeAssignment("a1")]).durable()
            let after = try await other.load()
            #expect(after.builds.isEmpty)
            #expect(after.locks.isEmpty)
            #expect(try await other.build("b1")?.image == build.image)
            try await store.close()
            try await other.close()
        }
    }

    @Test func `groups are written in the order in which they were given`() async throws {
        try await withFile { path in
            let store = try open(path)
            try await store.write([.insert(build("b"))]).durable()
            var last: Commit?
            for sequence in 1...2000 {
                last = store.write([
                    .append(BuildEvent(sequence: sequence, time: .epoch, kind: .log(stage: 0, step: 0, text: "line")), to: "b")
                ])
            }
            try await last?.durable()
            let page = try await store.events(of: "b", after: 990, limit: 20)
            #expect(page.map(\.sequence) == Array(991...1010))
            #expect(try await store.events(of: "b", after: 2000, limit: 20).isEmpty)
            try await store.close()
        }
    }

    @Test func `a store that is closed acknowledges nothing more, be it what was refused before`() async throws {
        try await withFile { path in
            let store = try open(path)
            let last = store.write([.insert(build("b1"))])
            try await store.close()
            try await last.durable()
            await #expect(throws: StoreError.self) { try await store.write([.insert(build("b2"))]).durable() }
            await #expect(throws: StoreError.self) { try await store.write([]).durable() }
            let other = try open(path)
            #expect(try await other.load().builds.map(\.build.id) == ["b1"])
            try await other.close()
        }
    }

    @Test func `a group that is refused leaves nothing behind and harms no other`() async throws {
        try await withFile { path in
            let store = try open(path)
            let good = store.write([.insert(build("b1"))])
            // The second insertion breaks the group.
            let bad = store.write([.insert(build("b2")), .insert(build("b1"))])
            let later = store.write([.insert(build("b3"))])
            try await good.durable()
            await #expect(throws: DatabaseError.self) { try await bad.durable() }
            try await later.durable()
            #expect(try await store.builds(limit: 10).map(\.id).sorted() == ["b1", "b3"])
            try await store.close()
        }
    }

    @Test func `a child without its parent is refused`() async throws {
        try await withFile { path in
            let store = try open(path)
            await #expect(throws: DatabaseError.self) {
                try await store.write([.add(LayerDescriptor(diffID: Digest.of("l"), size: 1), to: "nobody")]).durable()
            }
            try await store.close()
        }
    }

    @Test func `images are kept by name and platform`() async throws {
        try await withFile { path in
            let store = try open(path)
            func image(_ name: String, _ architecture: String) -> StoredImage {
                StoredImage(
                    image: BaseImage(
                        name: name, platform: Platform(os: "linux", architecture: architecture), config: ImageConfig(), history: [],
                        layers: []),
                    bytes: 5, importedAt: .epoch)
            }
            for one in [image("b", "amd64"), image("a", "arm64"), image("a", "amd64"), image("a", "amd64")] { try await store.put(one) }
            #expect(try await store.images().map(\.image.name) == ["a", "a", "b"])
            #expect(try await store.image(named: "a", platform: Self.platform)?.bytes == 5)
            #expect(try await store.removeImage(named: "a").count == 2)
            #expect(try await store.image(named: "a", platform: Self.platform) == nil)
            try await store.close()
        }
    }

    @Test func `a file that is no database is refused with what to do`() async throws {
        try await withFile { path in
            try Data("this is no database, and long enough to be seen as such: ".utf8 + Array(repeating: UInt8(65), count: 4096))
                .write(to: URL(filePath: path))
            #expect { try open(path) } throws: { error in
                "\(error)".contains(path) && "\(error)".contains("backup")
            }
        }
    }

    @Test func `what an older version stored is read: agents without resources, builds without wishes`() async throws {
        try await withFile { path in
            let store = try open(path)
            try await store.write([.insert(build("b1")), .put(agent("x"))]).durable()
            try await store.pool.write { db in
                // As the migration leaves rows that are there.
                let column = try String.fetchOne(db, sql: "SELECT dflt_value FROM pragma_table_info('agent') WHERE name = 'resources'")
                try db.execute(sql: "UPDATE agent SET resources = \(try #require(column))")
                for key in ["prefer", "cpus", "memory", "priority"] {
                    try db.execute(sql: "UPDATE build SET request = json_remove(request, '$.options.\(key)')")
                }
            }
            let state = try await store.load()
            #expect(state.agents.first?.resources == AgentResources())
            #expect(state.builds.first?.build.request.options == BuildOptions())
            try await store.close()
        }
    }

    @Test func `a database of a newer version is refused`() async throws {
        try await withFile { path in
            let store = try open(path)
            try await store.pool.write { db in try db.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99-future')") }
            try await store.close()
            #expect { try open(path) } throws: { "\($0)".contains("newer version") }
        }
    }

    @Test func `commits are synced and foreign keys are on`() async throws {
        try await withFile { path in
            let store = try open(path)
            let values = try await store.pool.write { db in
                try ["synchronous", "foreign_keys", "journal_mode"].map { try String.fetchOne(db, sql: "PRAGMA \($0)") }
            }
            #expect(values == ["2", "1", "wal"])
            try await store.close()
        }
    }
}

@Suite("Usual durations") struct StoredDurationTests {
    @Test func `the mean follows, and the spread is known after a few runs`() {
        var duration = StoredDuration(project: "p", stage: "s", count: 0, mean: 10)
        duration.take(10)
        duration.take(14)
        #expect(duration.mean == 12 && duration.deviation == nil)
        for _ in 0..<50 {
            duration.take(10)
            duration.take(14)
        }
        #expect(abs(duration.mean - 12) < 1)
        #expect((1.5...2.5).contains(duration.deviation ?? 0))
        for _ in 0..<20 { duration.take(100) }
        #expect(abs(duration.mean - 100) < 1)
        #expect((duration.deviation ?? 99) < 5)
    }

    @Test func `what is no duration is not taken`() {
        var duration = StoredDuration(project: "p", stage: "s", count: 3, mean: 10, variance: 1)
        for bad in [Double.nan, .infinity, -1] { duration.take(bad) }
        #expect(duration == StoredDuration(project: "p", stage: "s", count: 3, mean: 10, variance: 1))
    }
}
