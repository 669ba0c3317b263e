import BuildPlan
import Digests
import FarmAPI
import FoundationEssentials
import GRDB
import Testing

@testable import Store

/// Stores as earlier versions left them, opened by this one.
@Suite("Stores of earlier versions", .timeLimit(.minutes(1))) struct MigrationTests {
    /// The newest schema that has been released is in a file of its own.
    private static let versions = [1, 2]

    private static func fixture(_ version: Int) throws -> String {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/schema-\(version).sql").path
        return String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    }

    private static func load(_ version: Int, _ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        // Rows come in the order of a dump, which has a transaction of its own.
        configuration.foreignKeysEnabled = false
        configuration.allowsUnsafeTransactions = true
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { db in try db.execute(sql: try fixture(version)) }
        return queue
    }

    private func make(_ path: String, version: Int) throws {
        let queue = try Self.load(version, path)
        try queue.close()
    }

    @Test(arguments: versions) func `everything in it is found again`(version: Int) async throws {
        try await TestStore.withFile { path in
            try make(path, version: version)
            let store = try TestStore.open(path)
            #expect(store.restoration == nil)
            let builds = try await store.builds(limit: 10)
            #expect(builds.map(\.id) == ["8pd0ve5r8l62", "50jmr03pj50l", "qvd46jv1lq56"])
            #expect(builds.map(\.status) == [.running, .failed, .succeeded])
            #expect(builds[1].failure?.exitCode == 7)
            #expect(builds[2].image?.layers.count == 2)
            let whole = try #require(try await store.build("qvd46jv1lq56"))
            #expect(whole.plan?.plan.stages.map(\.name) == ["base", "tool", "stage-2"])
            #expect(whole.plan?.images.keys.sorted() == ["busybox"])
            let (stages, steps) = try await store.stages(of: whole.id)
            #expect(stages.map(\.status) == [.succeeded, .succeeded, .succeeded])
            #expect(steps.compactMap(\.layer).count == 3)
            let events = try await store.events(of: whole.id, after: 0, limit: 100)
            #expect(events.map(\.sequence) == Array(1...13))
            let key = try #require(steps[0].key)
            #expect(try await store.record(key)?.layer == steps[0].layer)
            let chain = try #require(Digest(hex: "bbbff6c61b58192bdf934991efd9e3d7eb9e3baf4d1ec8135bc0e8fbd11314e0"))
            #expect(try await store.selection(chain: chain, path: "hello.txt", wildcards: true) != nil)
            #expect(try await store.images().map(\.image.name) == ["busybox"])
            let state = try await store.load()
            #expect(state.builds.map(\.build.id) == ["8pd0ve5r8l62"])
            #expect(state.builds[0].lastEvent == 4)
            #expect(state.agents.map(\.name) == ["agent-1"])
            #expect(state.layers["agent-1"]?.count == 4)
            #expect(state.heldVolumes["agent-1"]?.map(\.generation) == [1])
            #expect(state.volumes.map(\.head) == [1])
            #expect(state.assignments.map(\.build) == ["8pd0ve5r8l62"])
            #expect(state.locks.map(\.agent) == ["agent-1"])
            #expect(state.durations.count == 3)
            // It is a store like any other now: nothing is wrong with it, and it can be written to.
            try await store.write(TestStore.ended("new", at: 5, events: 3)).durable()
            _ = try await store.retain(TestStore.keepAll)
            try await store.close()
            #expect(try StoreCopy.problems(of: path, limit: 10).isEmpty)
        }
    }

    @Test(arguments: versions) func `a backup can be taken of it before the new version is installed`(version: Int) async throws {
        try await TestStore.withFile { path in
            try make(path, version: version)
            try StoreCopy.write(of: path, to: path + ".copy", now: Timestamp(seconds: 86_400))
            #expect(try StoreCopy.inspect(path + ".copy").builds == 3)
            let restored = try TestStore.open(path + ".copy")
            #expect(restored.restoration?.endedBuilds == 1)
            try await restored.close()
        }
    }

    @Test func `every released schema has a store here`() throws {
        let numbers = Schema.migrator.migrations.map { Int($0.prefix { $0 != "-" }) ?? 0 }
        let newest = numbers.max() ?? 0
        // The one that is being worked on gets its file when it is released.
        #expect(Self.versions == Array(1..<newest), "add schema-\(newest - 1).sql: a dump of a store as that version leaves it")
        #expect(numbers == numbers.sorted(), "a migration was put between those that were released")
    }

    @Test func `migrations that were released are never renamed or edited`() throws {
        let queue = try DatabaseQueue()
        try Schema.migrator.migrate(queue, upTo: "2-werf")
        let made = try queue.read { db in
            try String.fetchAll(
                db,
                sql:
                    "SELECT name || ' ' || group_concat(column) FROM (SELECT m.name, c.name AS column FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.cid) GROUP BY name"
            )
        }
        let old = try Self.load(2, ":memory:")
        let dumped = try old.read { db in
            try String.fetchAll(
                db,
                sql:
                    "SELECT name || ' ' || group_concat(column) FROM (SELECT m.name, c.name AS column FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.cid) GROUP BY name"
            )
        }
        #expect(made == dumped)
    }
}
