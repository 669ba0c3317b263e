import BuildPlan
import Daemon
import Testing

@testable import FarmAgent

struct CoordinatorTimeTests {
    @Test func `the coordinator's word counts, whatever this machine's clock shows`() {
        let time = CoordinatorTime()
        #expect(abs(time.now.seconds(since: .now)) < 60)
        // A year behind.
        let said = Timestamp(nanoseconds: Timestamp.now.nanoseconds - 365 * 86_400 * 1_000_000_000)
        time.note(said)
        let first = time.now
        #expect(first >= said)
        #expect(first.seconds(since: said) < 60)
        #expect(time.now >= first)
    }
}
