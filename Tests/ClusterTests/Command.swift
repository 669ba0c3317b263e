import BlockingIO
import Glibc
import Testing

/// A program that was run to its end: what it printed and its exit code.
struct CommandResult: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var status: Int32
    var output: String
    var error: String

    var testDescription: String { "\(arguments.joined(separator: " ")) → \(status)\n\(output)\n\(error)" }
    /// Standard output without the last line feed.
    var line: String { output.hasSuffix("\n") ? String(output.dropLast()) : output }
}

/// Programs that a test starts: with standard output and error apart, ended by their own id.
enum Command {
    /// A command that takes longer has failed; the slowest that tests run is an apt installation.
    static let timeLimit: Duration = .seconds(300)

    /// Runs to the end. 128 + signal where a signal ended it.
    static func run(
        _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:], input: String? = nil,
        timeLimit: Duration = Command.timeLimit
    ) async throws -> CommandResult {
        let scratch = try TemporaryFolder()
        defer { scratch.remove() }
        if let input { try scratch.write(input, to: "input") }
        let started = try start(
            arguments, in: folder, environment: environment, input: input == nil ? "/dev/null" : scratch.path("input"),
            output: scratch.path("output"), error: scratch.path("error"))
        let killer = Task {
            try await Task.sleep(for: timeLimit)
            kill(started, SIGKILL)
        }
        let status = await withTaskCancellationHandler {
            await wait(for: started)
        } onCancel: {
            kill(started, SIGKILL)
        }
        killer.cancel()
        return CommandResult(
            arguments: arguments, status: status, output: scratch.read("output") ?? "", error: scratch.read("error") ?? "")
    }

    /// Starts a program and returns its id.
    static func start(
        _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:], input: String = "/dev/null", output: String,
        error: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, error, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        // posix_spawn's own change of folder is not in Swift's Glibc module.
        let arguments = (folder.map { ["env", "-C", $0] } ?? []) + arguments
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var variables: [String] = []
        var pointer = environ
        while let entry = pointer.pointee {
            let text = String(cString: entry)
            if !environment.keys.contains(where: { text.hasPrefix($0 + "=") }) { variables.append(text) }
            pointer += 1
        }
        var envp: [UnsafeMutablePointer<CChar>?] = (variables + environment.map { "\($0)=\($1)" }).map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var id = pid_t()
        let status = posix_spawnp(&id, arguments[0], &actions, &attributes, &argv, &envp)
        try #require(status == 0, "\(arguments[0]) can't be started: \(String(cString: strerror(status)))")
        return id
    }

    static func wait(for id: pid_t) async -> Int32 {
        let status = try? await BlockingPool.shared.run {
            var status: Int32 = 0
            while waitpid(id, &status, 0) < 0, errno == EINTR {}
            return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        }
        return status ?? -1
    }

    /// The folder of the programs that this build made.
    static let programs: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer[..<max(0, count)].map(UInt8.init(bitPattern:)), as: UTF8.self)
        return own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "."
    }()

    static func isThere(_ program: String) -> Bool {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return (path + ":/usr/sbin:/sbin").split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
    }
}
