import BlockingIO
import Glibc
import Synchronization

/// A program that this one started, by its process id.
final class ChildProcess: Sendable {
    /// Where a child's standard output goes; its standard error always goes where ours goes, or to the file.
    enum Output: Sendable {
        case standardError
        /// Appended to; standard error as well.
        case file(String)
        /// Both into pipes, the reading ends of which are ``ChildProcess/output`` and ``ChildProcess/errors``.
        case pipes
    }

    let id: pid_t
    /// Our end of its standard input; -1 where there is none.
    let input: Int32
    /// What it writes to standard output, where that goes into a pipe; -1 otherwise. Whoever reads it closes it.
    let output: Int32
    /// What it writes to standard error, likewise.
    let errors: Int32
    private let ended = Mutex(false)

    private init(id: pid_t, input: Int32, output: Int32, errors: Int32) {
        self.id = id
        self.input = input
        self.output = output
        self.errors = errors
    }

    /// Starts `arguments[0]`, found on the PATH, in a process group of its own, so that a terminal's interrupt reaches us alone.
    ///
    /// - Parameter environment: nil for our own.
    static func start(
        _ arguments: [String], environment: [String: String]? = nil, pipedInput: Bool = false, output: Output
    ) throws -> ChildProcess {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var ends: [Int32] = [-1, -1]
        if pipedInput {
            guard pipe(&ends) == 0 else { throw ClientError.failed("no pipe: \(String(cString: strerror(errno)))") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        }
        var results: [Int32] = [-1, -1, -1, -1]
        switch output {
        case .pipes:
            for first in [0, 2] {
                var pair: [Int32] = [-1, -1]
                guard pipe(&pair) == 0 else { throw ClientError.failed("no pipe: \(String(cString: strerror(errno)))") }
                for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
                results.replaceSubrange(first..<first + 2, with: pair)
            }
            posix_spawn_file_actions_adddup2(&actions, results[1], STDOUT_FILENO)
            posix_spawn_file_actions_adddup2(&actions, results[3], STDERR_FILENO)
        case .standardError: posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
        case .file(let path):
            posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
            posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Our blocked and ignored signals are not the child's.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var pipes = sigset_t()
        sigemptyset(&pipes)
        sigaddset(&pipes, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &pipes)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        var variables: [UnsafeMutablePointer<CChar>?] = (environment ?? [:]).map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for variable in variables { free(variable) } }
        var id = pid_t()
        let status = variables.withUnsafeMutableBufferPointer { buffer in
            posix_spawnp(&id, arguments[0], &actions, &attributes, &argv, environment == nil ? environ : buffer.baseAddress ?? environ)
        }
        for end in [ends[0], results[1], results[3]] where end >= 0 { close(end) }
        guard status == 0 else {
            for end in [ends[1], results[0], results[2]] where end >= 0 { close(end) }
            throw ClientError.failed("\(arguments[0]) can't be started: \(String(cString: strerror(status)))")
        }
        return ChildProcess(id: id, input: ends[1], output: results[0], errors: results[2])
    }

    /// Call it once, where input is piped.
    func closeInput() { if input >= 0 { close(input) } }

    func signal(_ number: Int32) { ended.withLock { if !$0 { kill(id, number) } } }

    /// SIGKILL, unless it has ended; its id could be another's by then.
    func killIfRunning() { signal(SIGKILL) }

    /// The exit code, or 128 and the signal. Call it once: it takes the process's end from the kernel.
    func wait() async throws -> Int32 { try await BlockingPool.shared.run { try self.waitBlocking() } }

    /// ``wait()`` for a thread that may block.
    func waitBlocking() throws -> Int32 {
        // The end is waited for without taking it, so that no signal can go to an id that was given away.
        var info = siginfo_t()
        while waitid(P_PID, id_t(id), &info, WEXITED | WNOWAIT) < 0 {
            guard errno == EINTR else { throw ClientError.failed("process \(id): \(String(cString: strerror(errno)))") }
        }
        var status: Int32 = 0
        ended.withLock { ended in
            waitpid(id, &status, 0)
            ended = true
        }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }

    static func isOnPath(_ program: String) -> Bool {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return path.split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
    }
}
