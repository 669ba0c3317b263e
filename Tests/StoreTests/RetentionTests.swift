import BuildPlan
import Digests
import FarmAPI
import GRDB
import Synchronization
import Testing

@testable import Store

@Suite("Retention", .timeLimit(.minutes(1))) struct RetentionTests {
    private func policy(builds: Int64 = 0, logs: Int64 = 0, bytes: Int64? = nil, records: Int64 = 0) -> RetentionPolicy {
        RetentionPolicy(
            buildsBefore: Timestamp(seconds: builds), logsBefore: Timestamp(seconds: logs), logBytes: bytes,
            recordsBefore: Timestamp(seconds: records))
    }

    /// Counts the rows that each transaction changes.
    private final class Counter: TransactionObserver, Sendable {
        private let state = Mutex((before: 0, most: 0))

        /// Begins to count on the store's writing connection.
        init(_ store: Store) throws {
            let before = try store.pool.write { db in db.totalChangesCount }
            state.withLock { $0.before = before }
            store.pool.add(transactionObserver: self)
        }

        var most: Int { state.withLock { $0.most } }
        func observes(eventsOfKind kind: DatabaseEventKind) -> Bool { false }
        func databaseDidChange(with event: DatabaseEvent) {}
        func databaseDidRollback(_ db: Database) {}

        func databaseDidCommit(_ db: Database) {
            let total = db.totalChangesCount
            state.withLock { $0 = (total, max($0.most, total - $0.before)) }
        }
    }

    @Test func `old builds go with all that belongs to them, open and young ones stay`() async throws {
        try await TestStore.withFile { path in
            let store = try TestStore.open(path)
            try await store.write(
                TestStore.ended("old", at: 10, events: 1203) + TestStore.ended("young", at: 30, events: 5) + [
                    .insert(TestStore.build("open"))
                ]
            ).durable()
            let counter = try Counter(store)
            let outcome = try await store.retain(policy(builds: 20))
            #expect(outcome.builds == 1)
            #expect(try await store.builds(limit: 10).map(\.id).sorted() == ["open", "young"])
            #expect(try await store.events(of: "old", after: 0, limit: 10).isEmpty)
            let rows = try await store.stages(of: "old")
            #expect(rows.stages.isEmpty && rows.steps.isEmpty)
            #expect(try await store.events(of: "young", after: 0, limit: 10).count == 5)
            // What waits behind one of them waits for no more than that.
            #expect((100...Store.retentionChunk).contains(counter.most), "\(counter.most)")
            try await store.close()
        }
    }

    @Test func `what steps printed goes, what happened stays, and the log says so`() async throws {
        try await TestStore.withFile { path in
            let store = try TestStore.open(path)
            try await store.write(TestStore.ended("old", at: 10, events: 1203) + TestStore.ended("young", at: 30, events: 5)).durable()
            let counter = try Counter(store)
            #expect(try await store.retain(policy(logs: 20)).logs == 1)
            let events = try await store.events(of: "old", after: 0, limit: 2000)
            #expect(events.map(\.sequence) == [1, 2, 1203])
            guard case .warning(let text) = events[1].kind, case .finished = events[2].kind else {
                Issue.record("\(events)")
                return
            }
            #expect(text.contains("removed") && text.contains("log-retention"))
            #expect(try await store.events(of: "young", after: 0, limit: 10).count == 5)
            #expect(try await store.build("old")?.status == .succeeded)
            #expect((100...Store.retentionChunk).contains(counter.most), "\(counter.most)")
            // Once is enough.
            #expect(try await store.retain(policy(logs: 20)).isEmpty)
            try await store.close()
        }
    }

    @Test func `above their limit the logs of the oldest builds go first, until the rest has room`() async throws {
        try await TestStore.withFile { path in
            let store = try TestStore.open(path)
            for (number, name) in ["a", "b", "c", "d"].enumerated() {
                try await store.write(TestStore.ended(name, at: Int64(10 + number), events: 100)).durable()
            }
            let size = try await store.pool.read { db in try Int64.fetchOne(db, sql: "SELECT sum(length(body)) FROM event") ?? 0 }
            #expect(try await store.retain(policy(bytes: size)).isEmpty)
            #expect(try await store.retain(policy(bytes: size / 2)).logs == 2)
            var kept: [String] = []
            for name in ["a", "b", "c", "d"] where try await store.events(of: name, after: 0, limit: 200).count == 100 { kept.append(name) }
            #expect(kept == ["c", "d"])
            try await store.close()
        }
    }

    @Test func `records go when they are old and nobody has their layer`() async throws {
        try await TestStore.withFile { path in
            let store = try TestStore.open(path)
            func record(_ name: String, _ time: Int64) -> Change {
                .put(
                    StoredRecord(
                        key: Digest.of(name), layer: LayerDescriptor(diffID: Digest.of("layer \(name)"), size: 1),
                        createdAt: Timestamp(seconds: time)))
            }
            try await store.write([
                .put(TestStore.agent("x")), record("held", 1), record("new", 100),
                .add(LayerDescriptor(diffID: Digest.of("layer held"), size: 1), to: "x"),
                .add(LayerDescriptor(diffID: Digest.of("nobody's"), size: 1), to: "x"), .remove(layer: Digest.of("nobody's"), from: "x"),
                .put(
                    SelectionDigest(path: "p", wildcards: false, digest: Digest.of("s")), chain: Digest.of("old"), at: Timestamp(seconds: 1)
                ),
                .put(
                    SelectionDigest(path: "p", wildcards: false, digest: Digest.of("s")), chain: Digest.of("new"),
                    at: Timestamp(seconds: 90)),
            ]).durable()
            try await store.write((0..<1300).map { record("lost \($0)", Int64($0 % 40)) }).durable()
            let outcome = try await store.retain(policy(records: 50))
            #expect(outcome.records == 1300 && outcome.selections == 1)
            #expect(try await store.record(Digest.of("held")) != nil)
            #expect(try await store.record(Digest.of("lost 7")) == nil)
            #expect(try await store.record(Digest.of("new")) != nil)
            #expect(try await store.selection(chain: Digest.of("new"), path: "p", wildcards: false) != nil)
            let layers = try await store.pool.read { db in try Digest.fetchAll(db, sql: "SELECT digest FROM layer") }
            #expect(layers == [Digest.of("layer held")])
            try await store.close()
        }
    }
}
