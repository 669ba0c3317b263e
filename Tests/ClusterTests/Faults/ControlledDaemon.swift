import Glibc
import Synchronization
import Testing

/// A daemon that a test ends, halts and starts again.
final class ControlledDaemon: Sendable {
    private struct State {
        var process: pid_t?
        var isHalted = false
    }

    let name: String
    /// Standard output and error, of all its lives.
    let log: String
    private let command: [String]
    private let environment: [String: String]
    private let state = Mutex(State())
    /// A daemon has this long to end in order.
    private static let grace = Duration.seconds(20)

    init(name: String, command: [String], environment: [String: String], log: String) {
        self.name = name
        self.command = command
        self.environment = environment
        self.log = log
    }

    /// Its id while it lives.
    var process: pid_t? { state.withLock(\.process) }

    func start() throws {
        let id = try Command.start(command, environment: environment, output: log, error: log)
        state.withLock { $0 = State(process: id) }
    }

    /// SIGKILL; returns when it is gone.
    func kill() async { _ = await end(SIGKILL) }

    /// SIGTERM; its exit code.
    func stop() async -> Int32? {
        proceed()
        let killer = Task { [self] in
            try await Task.sleep(for: Self.grace)
            signal(SIGKILL)
        }
        defer { killer.cancel() }
        return await end(SIGTERM)
    }

    private func end(_ number: Int32) async -> Int32? {
        guard let process else { return nil }
        signal(number)
        let status = await Command.wait(for: process)
        state.withLock { $0 = State() }
        return status
    }

    /// SIGSTOP
    func halt() {
        state.withLock { $0.isHalted = true }
        signal(SIGSTOP)
    }

    /// SIGCONT
    func proceed() {
        guard state.withLock(\.isHalted) else { return }
        state.withLock { $0.isHalted = false }
        signal(SIGCONT)
    }

    private func signal(_ number: Int32) { if let process { Glibc.kill(process, number) } }
}
