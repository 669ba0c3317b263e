import Glibc

/// Threads for calls that block: files, hashing, archives, librsync, waiting for processes.
///
/// The cooperative pool and the event loops must never wait for a disk; they `await` ``run(_:)`` instead. Work is taken in the order
/// in which it was given. Threads start when work comes and none is idle, up to the limit, and live as long as the pool.
public final class BlockingPool: Sendable {
    /// Enough that a few slow disks or peers do not hold up the rest; a blocked thread costs its stack only.
    public static let defaultThreadLimit = 64

    /// A walk may go as deep as a path of 4096 bytes allows, 2,048 directories, with a few kilobytes each. Memory is taken when it is used.
    static let stackSize = 32 << 20

    /// The pool that code without wishes of its own uses.
    public static let shared = BlockingPool(limit: defaultThreadLimit)

    private struct State {
        var queue: [@Sendable () -> Void] = []
        var head = 0
        var threads = 0
        var idle = 0
    }

    private let state = Monitor(State())
    private let limit: Int

    /// - Parameter limit: the most threads, at least 1.
    public init(limit: Int) { self.limit = max(1, limit) }

    /// Runs a blocking body on one of the pool's threads. Cancelling the task does not interrupt the body.
    public func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            submit { continuation.resume(with: Result(catching: body)) }
        }
    }

    private func submit(_ work: @escaping @Sendable () -> Void) {
        let start = state.withLock { state in
            state.queue.append(work)
            let waiting = state.queue.count - state.head
            guard waiting > state.idle, state.threads < limit else { return false }
            state.threads += 1
            return true
        }
        if start { startThread() } else { state.signal() }
    }

    private func startThread() {
        let entry = ThreadEntry { [self] in loop() }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, Self.stackSize)
        var thread = pthread_t()
        // Ownership: the retained entry is consumed by the new thread; if there is none, it is released here.
        let retained = Unmanaged.passRetained(entry)
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let entry = Unmanaged<ThreadEntry>.fromOpaque(argument).takeRetainedValue()
                entry.body()
                return nil
            }, retained.toOpaque())
        pthread_attr_destroy(&attributes)
        if status != 0 {
            retained.release()
            state.withLock { $0.threads -= 1 }
        }
    }

    private func loop() {
        while true {
            let work = state.wait { state -> (@Sendable () -> Void)? in
                guard state.head < state.queue.count else {
                    return nil
                }
                let work = state.queue[state.head]
                state.head += 1
                if state.head == state.queue.count {
                    state.queue.removeAll(keepingCapacity: true)
                    state.head = 0
                }
                return work
            } onWait: {
                $0.idle += $1
            }
            work()
        }
    }
}

private final class ThreadEntry: Sendable {
    let body: @Sendable () -> Void
    init(body: @escaping @Sendable () -> Void) { self.body = body }
}
