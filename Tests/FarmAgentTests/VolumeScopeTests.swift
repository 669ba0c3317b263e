import BuildPlan
import FarmAPI
import Logging
import Synchronization
import Testing

@testable import FarmAgent
@testable import Volumes

struct VolumeScopeTests {
    /// Counts what is held.
    private final class Shelf: VolumeLeasing {
        let held = Mutex<Set<String>>([])
        let discarded = Mutex(0)
        let fails: Bool

        init(fails: Bool = false) { self.fails = fails }

        func acquire(_ requests: [VolumeRequest], assignment: String, lock: String) async throws -> VolumeLease {
            held.withLock { _ = $0.insert(lock) }
            return VolumeLease(lock: lock, paths: [], bytesReceived: 0, notes: [], uses: [], isLocked: true)
        }

        func release(_ lease: VolumeLease) async throws -> [String] {
            // What a cancelled task could not do.
            try Task.checkCancellation()
            held.withLock { _ = $0.remove(lease.lock) }
            if fails { throw NotSaved(notes: ["lost"]) }
            return ["kept"]
        }

        func discard(_ lease: VolumeLease) async throws -> [String] {
            discarded.withLock { $0 += 1 }
            return try await release(lease)
        }
    }

    private struct Oops: Error {}

    private func use<T: Sendable>(
        _ shelf: Shelf, say: (String) -> Void = { _ in }, _ body: (VolumeLease) async throws -> T
    ) async throws -> T {
        try await shelf.withLease([], assignment: "a", lock: "a/1", logger: Logger(label: "test"), say: say, body)
    }

    @Test func `what a step wrote while the disk was full is not published`() async throws {
        let shelf = Shelf()
        await #expect(throws: AgentError.self) { try await use(shelf) { _ in throw AgentError.diskFull("/data") } }
        #expect(shelf.discarded.withLock { $0 } == 1)
        #expect(shelf.held.withLock { $0 }.isEmpty)
        // A step that fails by itself keeps its caches, as it does with others.
        await #expect(throws: Oops.self) { try await use(shelf) { _ in throw Oops() } }
        #expect(shelf.discarded.withLock { $0 } == 1)
    }

    @Test func `volumes are held while the body runs and no longer`() async throws {
        let shelf = Shelf()
        let seen = try await use(shelf) { _ in shelf.held.withLock { $0 } }
        #expect(seen == ["a/1"])
        #expect(shelf.held.withLock { $0 }.isEmpty)
    }

    @Test func `a body that throws gives its volumes back`() async {
        let shelf = Shelf()
        await #expect(throws: Oops.self) { try await use(shelf) { _ in throw Oops() } }
        #expect(shelf.held.withLock { $0 }.isEmpty)
    }

    @Test func `a step that is cancelled gives its volumes back`() async {
        let shelf = Shelf()
        let task = Task {
            try await use(shelf) { _ in while true { try await Task.sleep(for: .seconds(1)) } }
        }
        while shelf.held.withLock({ $0.isEmpty }) { await Task.yield() }
        task.cancel()
        _ = await task.result
        #expect(shelf.held.withLock { $0 }.isEmpty)
    }

    @Test func `a volume that can't be published does not fail the step, which says so`() async throws {
        var said: [String] = []
        #expect(try await use(Shelf(fails: true), say: { said.append($0) }) { _ in 1 } == 1)
        #expect(said == ["lost"])
        _ = try await use(Shelf(), say: { said.append($0) }) { _ in }
        #expect(said == ["lost", "kept"])
        // Whoever fails wants to know that, too.
        await #expect(throws: Oops.self) { try await use(Shelf(fails: true), say: { said.append($0) }) { _ in throw Oops() } }
        #expect(said == ["lost", "kept", "lost"])
    }
}
