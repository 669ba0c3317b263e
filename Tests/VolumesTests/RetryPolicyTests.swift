import FarmAPI
import Synchronization
import Testing
import Transport

@testable import Volumes

struct RetryPolicyTests {
    private let quick = RetryPolicy(firstPause: .milliseconds(1), longestPause: .milliseconds(2), patience: .seconds(60))

    @Test func `what may pass is tried again until it has`() async throws {
        let calls = Mutex(0)
        let result = try await quick.run {
            let call = calls.withLock {
                $0 += 1
                return $0
            }
            if call < 5 { throw TransportError.connectionLost }
            return call
        }
        #expect(result == 5)
    }

    @Test func `patience ends`() async {
        await #expect(throws: TransportError.connectionLost) {
            try await RetryPolicy(firstPause: .milliseconds(1), longestPause: .milliseconds(1), patience: .milliseconds(5)).run {
                throw TransportError.connectionLost
            }
        }
    }

    @Test func `who has no patience's end waits until nobody is to wait`() async {
        let calls = Mutex(0)
        let policy = RetryPolicy(
            firstPause: .milliseconds(1), longestPause: .milliseconds(1), patience: nil, isOver: { calls.withLock { $0 == 20 } })
        await #expect(throws: TransportError.connectionLost) {
            try await policy.run {
                calls.withLock { $0 += 1 }
                throw TransportError.connectionLost
            }
        }
        #expect(calls.withLock { $0 } == 20)
    }

    @Test func `cancellation ends the waiting`() async {
        let task = Task { try await RetryPolicy(patience: nil).run { throw TransportError.connectionLost } }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
