import Synchronization

/// How slow a peer may be before it counts as gone: one that stops in the middle, or sends a byte now and then, must not hold a step.
///
/// Only the time counts in which this side waits for the peer; a slow disk here costs the peer nothing.
public struct PeerPatience: Sendable {
    /// Long enough for a holder that makes an rsync delta of a large file of which nothing has changed, and so says nothing.
    public var window = Duration.seconds(120)
    /// What has to come in that time: a tenth of what the slowest line gives that is worth waiting for.
    public var leastBytes = 16 << 10
    /// How long one that is busy is asked again.
    public var busy = BusyPauses.patience

    public init() {}

    /// How often it is looked at, as a part of the window.
    static let looks = 8
}

/// Watches one body on its way.
final class PeerWatch: Sendable {
    private struct State {
        var waitingSince: ContinuousClock.Instant?
        var waited = Duration.zero
        var bytes = 0
    }

    private let patience: PeerPatience
    private let state = Mutex(State())

    init(_ patience: PeerPatience) { self.patience = patience }

    /// From now on this side waits.
    func waits() { state.withLock { $0.waitingSince = .now } }

    /// Something came.
    func came(_ count: Int) {
        state.withLock { state in
            if let since = state.waitingSince { state.waited += .now - since }
            state.waitingSince = nil
            state.bytes += count
            if state.bytes >= patience.leastBytes { (state.bytes, state.waited) = (0, .zero) }
        }
    }

    /// Returns when the patience has ended, or the task is cancelled: true for the former.
    func hasEnded() async -> Bool {
        while true {
            do { try await Task.sleep(for: patience.window / PeerPatience.looks) } catch { return false }
            let waited = state.withLock { state in state.waited + (state.waitingSince.map { .now - $0 } ?? .zero) }
            if waited >= patience.window { return true }
        }
    }
}
