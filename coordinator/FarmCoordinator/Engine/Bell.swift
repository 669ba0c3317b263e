import Synchronization

/// Wakes those who read a build's events when there are more in the store.
final class Bell: Sendable {
    private struct Rope {
        var last: Int
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private struct State {
        var ropes: [String: Rope] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())

    /// The build is open, and has events up to `last`.
    func open(_ build: String, last: Int) { state.withLock { $0.ropes[build] = Rope(last: last) } }

    /// Events up to `last` can be read.
    func ring(_ build: String, last: Int) {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard var rope = state.ropes[build], last > rope.last else { return [] }
            defer { state.ropes[build] = rope }
            rope.last = last
            defer { rope.waiting = [:] }
            return Array(rope.waiting.values)
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Somebody waits for the build's events now.
    func isWaitedFor(_ build: String) -> Bool { state.withLock { !($0.ropes[build]?.waiting.isEmpty ?? true) } }

    /// The build has ended: nobody waits for it any more.
    func close(_ build: String) {
        let rope = state.withLock { $0.ropes.removeValue(forKey: build) }
        for continuation in rope?.waiting.values ?? [:].values { continuation.resume() }
    }

    /// Returns when the build has events after `sequence`, has ended, or the task is cancelled.
    func wait(for build: String, after sequence: Int) async {
        let waiter = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state in
                    guard !Task.isCancelled, let rope = state.ropes[build], rope.last <= sequence else { return true }
                    state.ropes[build]?.waiting[waiter] = continuation
                    return false
                }
                if ready { continuation.resume() }
            }
        } onCancel: {
            let continuation = state.withLock { $0.ropes[build]?.waiting.removeValue(forKey: waiter) }
            continuation?.resume()
        }
    }
}
