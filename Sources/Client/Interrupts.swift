import Glibc

/// SIGINT and SIGTERM as something to wait for. ``block()`` comes first in `main`, before any thread is started.
public enum Interrupts {
    /// Keeps the signals from ending the process; every thread started later inherits that.
    public static func block() {
        var set = signals()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Runs `body`; the first SIGINT or SIGTERM cancels it, a second one ends the process at once with 130.
    public static func cancelling<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task { try await body() }
        let thread = Task.detached(priority: .high) { () -> Void in
            for await count in Self.received() {
                if count > 1 { _exit(130) }
                task.cancel()
            }
        }
        defer { thread.cancel() }
        return try await task.value
    }

    /// The signals as they come, counted from 1.
    static func received() -> AsyncStream<Int> {
        AsyncStream { continuation in
            // A thread of its own that sleeps in the kernel: signals can't be awaited otherwise, and the pools must not block.
            var thread = pthread_t()
            let box = Unmanaged.passRetained(Box(continuation))
            pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                    var set = Interrupts.signals()
                    var count = 0
                    while true {
                        var signal: Int32 = 0
                        guard sigwait(&set, &signal) == 0 else { continue }
                        count += 1
                        box.continuation.yield(count)
                    }
                }, box.toOpaque())
            pthread_detach(thread)
        }
    }

    private static func signals() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGINT)
        sigaddset(&set, SIGTERM)
        return set
    }

    private final class Box: Sendable {
        let continuation: AsyncStream<Int>.Continuation
        init(_ continuation: AsyncStream<Int>.Continuation) { self.continuation = continuation }
    }
}
