import BuildPlan
import Daemon
import Synchronization

/// What time it is for the coordinator, which says so every few seconds. By it grants expire: a machine whose clock is wrong, be it this one
/// or the coordinator's, still serves the others.
final class CoordinatorTime: Sendable {
    private struct Word {
        var time: Timestamp
        var heard: ContinuousClock.Instant
    }

    private let last = Mutex<Word?>(nil)

    /// The coordinator has said its time.
    func note(_ time: Timestamp) { last.withLock { $0 = Word(time: time, heard: .now) } }

    /// Its last word and the time since; this machine's clock as long as there was none.
    var now: Timestamp {
        guard let word = last.withLock({ $0 }) else { return .now }
        let (seconds, attoseconds) = (ContinuousClock.now - word.heard).components
        return Timestamp(nanoseconds: word.time.nanoseconds &+ seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)
    }
}
