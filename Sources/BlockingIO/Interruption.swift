import Synchronization

/// Tells blocking code that nobody wants its result any more: a thread of the pool can't be cancelled, what it does can end early.
public final class Interruption: Sendable {
    private struct State {
        var isSet = false
        var actions: [@Sendable () -> Void] = []
    }

    // A lock: asked from blocking code, set by whoever cancels.
    private let state = Mutex(State())

    public init() {}

    /// Throws `CancellationError` once nobody wants the result. Cheap enough for each file or chunk.
    public func check() throws {
        if isSet { throw CancellationError() }
    }

    /// Whether nobody wants the result any more.
    public var isSet: Bool { state.withLock { $0.isSet } }

    /// Has something done that ends a wait, when it comes to that; at once where it has come to that.
    public func whenInterrupted(_ action: @escaping @Sendable () -> Void) {
        let isSet = state.withLock { state in
            if !state.isSet { state.actions.append(action) }
            return state.isSet
        }
        if isSet { action() }
    }

    /// Nobody wants the result any more.
    public func interrupt() {
        let actions = state.withLock { state in
            state.isSet = true
            defer { state.actions = [] }
            return state.actions
        }
        for action in actions { action() }
    }
}

extension BlockingPool {
    /// Runs a blocking body that looks now and then whether it is still wanted: cancelling the task interrupts it.
    public func run<T: Sendable>(_ body: @escaping @Sendable (Interruption) throws -> T) async throws -> T {
        let interruption = Interruption()
        return try await withTaskCancellationHandler {
            try await run {
                try interruption.check()
                return try body(interruption)
            }
        } onCancel: {
            interruption.interrupt()
        }
    }
}
