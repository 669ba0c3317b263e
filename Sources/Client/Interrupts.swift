import Glibc
import Synchronization

/// SIGINT and SIGTERM as something to wait for. ``catchSignals()`` comes first in `main`.
public enum Interrupts {
    /// Keeps the signals from ending the process: from now on they are only told to those who wait.
    ///
    /// A handler and not a mask: a thread of the runtime that was there before would still be ended by them.
    public static func catchSignals() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        wakeUp.store(ends[1], ordering: .sequentiallyConsistent)
        wake.store(ends[0], ordering: .sequentiallyConsistent)
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGINT, SIGTERM] { signal(number, handler) }
    }

    // Both ends of the pipe that the handler writes to: a handler may do little more than that.
    private static let wakeUp = Atomic<Int32>(-1)
    private static let wake = Atomic<Int32>(-1)

    private static let handler: @convention(c) (Int32) -> Void = { _ in
        let saved = errno
        var byte: UInt8 = 1
        write(Interrupts.wakeUp.load(ordering: .relaxed), &byte, 1)
        errno = saved
    }

    /// How long a command may take to end in order. It may be waiting for something that only the kernel can end, such as a named
    /// pipe without a writer; the agents end a cancelled build without us.
    public static let patience: Duration = .seconds(10)

    /// Runs `body`; the first SIGINT or SIGTERM cancels it; a second one ends the process at once with 130, and so does
    /// the end of `patience`; nil waits on.
    public static func cancelling<T: Sendable>(patience: Duration? = patience, _ body: @escaping @Sendable () async throws -> T)
        async throws -> T
    {
        let task = Task { try await body() }
        let watcher = Task.detached(priority: .high) {
            for await count in received() {
                if count > 1 { _exit(130) }
                task.cancel()
                guard let patience else { continue }
                Task.detached {
                    try await Task.sleep(for: patience)
                    _exit(130)
                }
            }
        }
        defer { watcher.cancel() }
        return try await task.value
    }

    /// The signals as they come, counted from 1.
    private static func received() -> AsyncStream<Int> {
        AsyncStream { continuation in
            // A thread of its own that sleeps in the kernel: the pools must not block.
            var thread = pthread_t()
            let box = Unmanaged.passRetained(Box(continuation))
            pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                    var byte: UInt8 = 0
                    var count = 0
                    while true {
                        let got = read(Interrupts.wake.load(ordering: .relaxed), &byte, 1)
                        if got < 0, errno == EINTR { continue }
                        guard got == 1 else { return nil }
                        count += 1
                        box.continuation.yield(count)
                    }
                }, box.toOpaque())
            pthread_detach(thread)
        }
    }

    private final class Box: Sendable {
        let continuation: AsyncStream<Int>.Continuation
        init(_ continuation: AsyncStream<Int>.Continuation) { self.continuation = continuation }
    }
}
