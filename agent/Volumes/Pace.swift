import Synchronization

/// A limit for what arrives in the background, until somebody waits for it.
///
/// It is a value of the task: what a task with a pace, and the tasks that it makes, read from other agents arrives no faster. So nothing
/// between the one who sets it and the sockets has to hand it on.
final class Pace: Sendable {
    @TaskLocal static var current: Pace?

    private struct State {
        var isLifted = false
        /// Bytes a second; nil when there is no limit (any more).
        var rate: Double?
        /// When what has passed so far is paid for.
        var due = ContinuousClock.now
    }

    /// Waits are cut into such pieces, so that a lifted limit is felt at once.
    private static let slice = Duration.milliseconds(50)
    // A lock: asked by every part that arrives.
    private let state: Mutex<State>

    /// - Parameter bytesPerSecond: 0 for no limit.
    init(bytesPerSecond: Int64) { state = Mutex(State(rate: bytesPerSecond > 0 ? Double(bytesPerSecond) : nil)) }

    /// From now on there is no limit: somebody waits.
    func lift() {
        state.withLock { state in
            state.rate = nil
            state.isLifted = true
        }
    }

    /// Whether what the task asks of other agents is for nobody who waits.
    static var isBackground: Bool { current.map { $0.state.withLock { !$0.isLifted } } ?? false }

    /// Counts bytes that have arrived, and waits until more may.
    func pass(_ bytes: Int) async throws {
        state.withLock { state in
            guard let rate = state.rate else { return }
            state.due = max(state.due, .now) + .seconds(Double(bytes) / rate)
        }
        while true {
            let rest = state.withLock { state in state.rate == nil ? .zero : state.due - ContinuousClock.now }
            // The clock's grain: a transfer of many small parts is right on the whole.
            guard rest > .milliseconds(1) else { return }
            try await Task.sleep(for: min(rest, Self.slice))
        }
    }
}
