import Glibc
import Testing

/// A `farm submit` that runs: its output can be looked at meanwhile.
final class Submitted: Sendable {
    private let arguments: [String]
    private let path: String
    private let ended: Task<Int32, Never>
    private let process: pid_t

    init(_ arguments: [String], cluster: TestCluster, path: String) throws {
        self.arguments = arguments
        self.path = path
        let process = try Command.start(
            cluster.prefix + ["\(Command.programs)/farm"] + arguments,
            environment: ["FARM_CONFIG": cluster.configuration, "XDG_CACHE_HOME": cluster.folder.path("cache")],
            output: "\(path).out", error: "\(path).err")
        self.process = process
        ended = Task { await Command.wait(for: process) }
    }

    /// Standard error so far.
    var error: String { TemporaryFolder.read("\(path).err") ?? "" }

    /// Waits until the coordinator has it, or one of its steps has begun.
    func wait(for moment: Fault.Earliest) async throws {
        let sign = moment == .running ? "#1 " : "# build "
        if moment == .submitted { return }
        try await eventually("a build is \(moment)", within: .seconds(60)) { error.contains(sign) }
    }

    /// The build's id, once the coordinator has given it one.
    var build: String? {
        error.split(separator: "\n").first { $0.hasPrefix("# build ") }?.split(separator: " ").dropFirst(2).first.map(String.init)
    }

    /// As Ctrl-C in its terminal.
    func interrupt() { kill(process, SIGINT) }

    func waitForEnd() async { _ = await ended.value }

    /// Waits for its end. SIGKILL after the limit, which is then the status.
    func result(within limit: Duration) async -> CommandResult {
        let process = process
        let killer = Task {
            try await Task.sleep(for: limit)
            kill(process, SIGKILL)
        }
        let status = await ended.value
        killer.cancel()
        return CommandResult(arguments: arguments, status: status, output: TemporaryFolder.read("\(path).out") ?? "", error: error)
    }
}
