import Synchronization
import Testing

@testable import BlockingIO

@Suite("Blocking work that nobody wants any more", .timeLimit(.minutes(1))) struct InterruptionTests {
    @Test func `a body that looks ends when its task is cancelled`() async {
        let begun = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            try await BlockingPool.shared.run { interruption in
                begun.continuation.yield()
                while true { try interruption.check() }
            }
        }
        for await _ in begun.stream { break }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func `a body that waits for a pipe is woken`() async {
        let begun = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            try await BlockingPool.shared.run { interruption in
                let pipe = BytePipe()
                interruption.whenInterrupted { pipe.finish(throwing: CancellationError()) }
                begun.continuation.yield()
                var byte: UInt8 = 0
                _ = try withUnsafeMutableBytes(of: &byte) { try pipe.read(into: $0) }
            }
        }
        for await _ in begun.stream { break }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func `a body that comes too late does not begin, and what is to be done then is done at once`() async {
        let interruption = Interruption()
        interruption.interrupt()
        let count = Mutex(0)
        interruption.whenInterrupted { count.withLock { $0 += 1 } }
        #expect(count.withLock { $0 } == 1)
        #expect(throws: CancellationError.self) { try interruption.check() }
    }
}
