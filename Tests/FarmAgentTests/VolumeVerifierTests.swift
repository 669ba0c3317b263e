import BuildPlan
import FarmAPI
import Logging
import Synchronization
import Testing

@testable import FarmAgent

@Suite(.timeLimit(.minutes(1)))
struct VolumeVerifierTests {
    private struct Away: Error {}

    /// What was verified and posted.
    private final class Record: Sendable {
        let verified = Mutex<[String]>([])
        let posted = Mutex<[String]>([])
        let failures = Mutex(0)
        let isHanging = Mutex(true)
    }

    private func order(_ id: String) -> VerifyOrder {
        let key = VolumeKey(project: "p", id: "c", platform: Platform(os: "linux", architecture: "amd64"))
        return VerifyOrder(id: id, key: key, head: 1, holders: [])
    }

    /// The order "slow" goes on until it is cancelled, or the test lets it end.
    private func verifier(_ record: Record) -> VolumeVerifier {
        VolumeVerifier(
            verify: { order in
                record.verified.withLock { $0.append(order.id) }
                while order.id == "slow", record.isHanging.withLock({ $0 }), !Task.isCancelled { await Task.yield() }
                return VerifyReport(id: order.id, generation: 1, left: 1, files: 0, bytes: 0, damage: [], outcome: .sound)
            },
            post: { _, report in
                let fails = record.failures.withLock { failures in
                    failures -= 1
                    return failures >= 0
                }
                if fails { throw Away() }
                record.posted.withLock { $0.append(report.id) }
            }, logger: Logger(label: "test"))
    }

    private func until(_ condition: () -> Bool) async throws { while !condition() { try await Task.sleep(for: .milliseconds(1)) } }

    @Test func `what was found is told, also where the first attempt fails`() async throws {
        let record = Record()
        record.failures.withLock { $0 = 2 }
        await verifier(record).obey(order("one"))
        try await until { record.posted.withLock { $0 } == ["one"] }
    }

    @Test func `what nobody waits for any more ends, and the next one is done`() async throws {
        let record = Record()
        let verifier = verifier(record)
        for id in ["slow", "never", "next"] { await verifier.obey(order(id)) }
        try await until { record.verified.withLock { $0 } == ["slow"] }
        await verifier.cancel("never")
        await verifier.cancel("slow")
        try await until { record.posted.withLock { $0 } == ["next"] }
        #expect(record.verified.withLock { $0 } == ["slow", "next"])
    }

    @Test func `an order that is given twice is obeyed once`() async throws {
        let record = Record()
        let verifier = verifier(record)
        await verifier.obey(order("slow"))
        try await until { record.verified.withLock { $0 } == ["slow"] }
        await verifier.obey(order("slow"))
        record.isHanging.withLock { $0 = false }
        await verifier.obey(order("last"))
        try await until { record.posted.withLock { $0 } == ["slow", "last"] }
    }
}
