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
        /// Releases wait for it.
        let gate: AsyncStream<Void>?

        init(fails: Bool = false, gate: AsyncStream<Void>? = nil) {
            self.fails = fails
            self.gate = gate
        }

        func acquire(_ requests: [VolumeRequest], assignment: String, lock: String) async throws -> VolumeLease {
            held.withLock { _ = $0.insert(lock) }
            return VolumeLease(lock: lock, paths: [], bytesReceived: 0, notes: [], uses: [], isLocked: true)
        }

        func release(_ lease: VolumeLease) async throws -> [String] {
            if let gate { for await _ in gate {} }
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
        _ shelf: Shelf, say: @escaping @Sendable (String) -> Void = { _ in }, _ body: (VolumeLease) async throws -> T
    ) async throws -> T {
        let publications = Publications()
        let result: Result<T, any Error>
        do { result = .success(try await use(shelf, publications, "a/1", say: say, body)) } catch { result = .failure(error) }
        await publications.settle()
        return try result.get()
    }

    private func use<T: Sendable>(
        _ shelf: Shelf, _ publications: Publications, _ lock: String, of volume: String = "v",
        say: @escaping @Sendable (String) -> Void = { _ in }, _ body: (VolumeLease) async throws -> T
    ) async throws -> T {
        let key = VolumeKey(project: "p", id: volume, platform: Platform(os: "linux", architecture: "amd64"))
        return try await shelf.withLease(
            [VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: lock, logger: Logger(label: "test"),
            publications: publications, say: say, body)
    }

    @Test func `a stage goes on while a step's volume is published, and its next step with that volume waits`() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        let shelf = Shelf(gate: gate)
        let publications = Publications()
        try await use(shelf, publications, "a/1") { _ in }
        // Another volume's step runs, and ends, while the first is not published.
        let seen = try await use(shelf, publications, "a/2", of: "w") { _ in shelf.held.withLock { $0 } }
        #expect(seen == ["a/1", "a/2"])
        let third = Task { try await use(shelf, publications, "a/3") { _ in shelf.held.withLock { $0 } } }
        for _ in 0..<100 { await Task.yield() }
        #expect(!shelf.held.withLock { $0.contains("a/3") })
        open.finish()
        #expect(try await third.value.isDisjoint(with: ["a/1"]))
        await publications.settle()
        #expect(shelf.held.withLock { $0 }.isEmpty)
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
        let said = Mutex<[String]>([])
        let say: @Sendable (String) -> Void = { text in said.withLock { $0.append(text) } }
        #expect(try await use(Shelf(fails: true), say: say) { _ in 1 } == 1)
        #expect(said.withLock { $0 } == ["lost"])
        _ = try await use(Shelf(), say: say) { _ in }
        #expect(said.withLock { $0 } == ["lost", "kept"])
        // Whoever fails wants to know that, too.
        await #expect(throws: Oops.self) { try await use(Shelf(fails: true), say: say) { _ in throw Oops() } }
        #expect(said.withLock { $0 } == ["lost", "kept", "lost"])
    }
}
