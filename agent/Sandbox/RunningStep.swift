import Synchronization

/// What the thread that runs a step and the one that ends it know of each other.
final class RunningStep: Sendable {
    private enum State {
        case preparing
        case started(ChildProcess)
        case cancelled
    }

    // A lock: cancellation handlers can't await an actor.
    private let state = Mutex(State.preparing)

    /// False if it was cancelled before.
    func started(_ process: ChildProcess) -> Bool {
        state.withLock { state in
            if case .cancelled = state { return false }
            state = .started(process)
            return true
        }
    }

    func cancel() { state.withLock { if case .preparing = $0 { $0 = .cancelled } } }

    private var process: ChildProcess? { state.withLock { if case .started(let process) = $0 { process } else { nil } } }

    var isAlive: Bool { process?.isAlive ?? false }

    func kill() { process?.kill() }
}
