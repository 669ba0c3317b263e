import Synchronization
import Testing

@testable import FarmAgent

@Suite(.timeLimit(.minutes(1))) struct SharedWorkTests {
    private struct Oops: Error {}

    private final class Begun: Sendable {
        let keys = Mutex<[Int]>([])
    }

    private func forever() async throws -> Int { while true { try await Task.sleep(for: .seconds(60)) } }

    @Test func `a key that several wait for is worked on once`() async throws {
        let work = SharedWork<Int, Int>()
        let begun = Begun()
        let (gate, open) = AsyncStream<Void>.makeStream()
        let tasks = (0..<3).map { _ in
            Task {
                try await work.values(of: [1, 2, 1]) { new in
                    begun.keys.withLock { $0 += new }
                    return { key in
                        for await _ in gate {}
                        return key * 10
                    }
                }
            }
        }
        while await work.waiters(of: 1) < 3 { await Task.yield() }
        open.finish()
        for task in tasks { #expect(try await task.value == [10, 20]) }
        #expect(begun.keys.withLock { $0 } == [1, 2])
        #expect(await work.keys.isEmpty)
    }

    @Test func `who is cancelled leaves, and what nobody waits for ends`() async {
        let work = SharedWork<Int, Int>()
        let task = Task { try await work.values(of: [1, 2]) { _ in { _ in try await forever() } } }
        while await work.keys.isEmpty { await Task.yield() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(await work.keys.isEmpty)
    }

    @Test func `what another waits for goes on`() async throws {
        let work = SharedWork<Int, Int>()
        let (gate, open) = AsyncStream<Void>.makeStream()
        let wait = { @Sendable in
            try await work.values(of: [1]) { _ in
                { key in
                    for await _ in gate {}
                    try Task.checkCancellation()
                    return key
                }
            }
        }
        let first = Task { try await wait() }
        while await work.keys.isEmpty { await Task.yield() }
        let second = Task { try await wait() }
        while await work.waiters(of: 1) < 2 { await Task.yield() }
        first.cancel()
        while await work.waiters(of: 1) > 1 { await Task.yield() }
        open.finish()
        #expect(try await second.value == [1])
    }

    @Test func `one that fails ends the others that nobody else waits for`() async {
        let work = SharedWork<Int, Int>()
        await #expect(throws: Oops.self) {
            try await work.values(of: [1, 2]) { _ in
                { key in
                    if key == 1 { throw Oops() }
                    return try await forever()
                }
            }
        }
        #expect(await work.keys.isEmpty)
    }
}
