import CLinux
import Glibc
import Synchronization

/// A program that was started. Whoever starts it calls ``run(output:onOverstay:)`` once, which ends with it; ``kill()`` may come from
/// any thread at any time.
final class ChildProcess: Sendable {
    /// The runtimes need no more than a PATH, and NOTIFY_SOCKET and the like must not reach a step.
    private static let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    /// How long somebody may hold the output open after the program itself has ended; the pid namespace ends everything at once.
    private static let overstay: Int32 = 1000

    private let id: pid_t
    /// Readable when the process has ended; -1 where the kernel has none. Owned, closed when this goes.
    private let descriptor: Int32
    /// What it writes. Owned, closed when this goes.
    private let output: Int32
    /// True until it is reaped: so long the number is its own. A lock, since the killing thread must not meet the reaping one.
    private let alive = Mutex(true)

    /// Starts a program in a process group of its own with nothing to read; standard output and error go to one pipe.
    init(_ arguments: [String]) throws(SandboxError) {
        let program = arguments.first ?? ""
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard null >= 0 else { throw .system(action: "open", path: "/dev/null", error: errno) }
        defer { close(null) }
        var ends: (Int32, Int32) = (-1, -1)
        try check(clinux_pipe(&ends.0, &ends.1), "make a pipe for", program)
        let writeEnd = ends.1
        let process = Self.withMutableCStrings(arguments) { arguments in
            Self.withMutableCStrings(Self.environment) { clinux_spawn(program, arguments, $0, null, writeEnd, writeEnd) }
        }
        close(writeEnd)
        guard process >= 0 else {
            close(ends.0)
            throw .system(action: "start", path: program, error: -process)
        }
        id = process
        output = ends.0
        // The process has not been waited for, so the number is still its own.
        descriptor = clinux_pidfd(process)
    }

    deinit {
        close(output)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Gives the output as it comes, waits for the end. Blocking.
    ///
    /// - Parameter onOverstay: called when the program has ended but something still holds its output; to end that.
    /// - Returns: the exit code, or 128 + the signal's number.
    func run(output body: (UnsafeRawBufferPointer) -> Void, onOverstay: () -> Void = {}) throws(SandboxError) -> Int32 {
        let size = 64 << 10
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
        defer { buffer.deallocate() }
        var ended = false
        var warned = false
        reading: while true {
            let ready = clinux_wait_readable(output, ended ? -1 : descriptor, ended ? Self.overstay : -1)
            if ready & 1 != 0 {
                let count = read(output, buffer.baseAddress, size)
                if count > 0 { body(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
                if count == 0 || count < 0 && errno != EINTR { break reading }
            } else if ready & 2 != 0 {
                ended = true
            } else if ended {
                if warned { break reading }
                warned = true
                onOverstay()
            }
        }
        if descriptor >= 0 { while clinux_wait_readable(descriptor, -1, -1) == 0 {} }
        let status = alive.withLock { alive in
            alive = false
            return clinux_wait(id)
        }
        try check(status, "wait for", "process \(id)")
        return status
    }

    /// True until ``run(output:onOverstay:)`` has seen its end.
    var isAlive: Bool { alive.withLock { $0 } }

    /// Ends the process group, if it has not ended.
    func kill() { alive.withLock { if $0 { _ = clinux_kill_group(id) } } }

    /// Runs a program to its end; its status and what it wrote, cut at a bound. Blocking.
    static func run(_ arguments: [String], outputLimit: Int = 64 << 10) throws(SandboxError) -> (status: Int32, output: String) {
        let process = try ChildProcess(arguments)
        var bytes: [UInt8] = []
        let status = try process.run { chunk in bytes += chunk.prefix(max(0, outputLimit - bytes.count)) }
        return (status, String(decoding: bytes, as: UTF8.self))
    }

    private static func withMutableCStrings<R>(_ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R) -> R {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return (copies + [nil]).withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("an array with an element has an address") }
            return body(base)
        }
    }
}
