import ArgumentParser
import Daemon
import FarmAPI
import FarmCoordinator
import Glibc

/// `farm-coordinator`: serves, or makes what a farm needs before it can.
@main
struct FarmCoordinatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "farm-coordinator",
        abstract: "Coordinates the builds of a farm.",
        discussion: """
            Without a command it serves, with the settings of --config, the environment (FARM_DATA, FARM_LISTEN, …) and flags.
            `farm-coordinator init` makes a new farm.
            """,
        version: farmVersion,
        subcommands: [Serve.self, Init.self, Enroll.self, Token.self, Backup.self, Restore.self, Check.self], defaultSubcommand: Serve.self)

    /// Exit status of a failure, of wrong usage, and of an end by SIGINT.
    static let failed: Int32 = 1
    static let wrongUsage: Int32 = 2
    static let interrupted: Int32 = 130

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch {
            finish(error)
        }
    }

    private static func finish(_ error: any Error) -> Never {
        switch error {
        case let code as ExitCode: Glibc.exit(code.rawValue)
        case let error as ConfigurationError:
            Terminal.warn("farm-coordinator: \(error)")
            Glibc.exit(wrongUsage)
        default: break
        }
        // The parser's own errors have a usage text and the status of sysexits.h; everything else is a failure.
        let status = exitCode(for: error)
        if status == .success {
            print(fullMessage(for: error))
            Glibc.exit(0)
        }
        let isUsage = status == .validationFailure
        Terminal.warn(isUsage ? fullMessage(for: error) : "farm-coordinator: \(error)")
        Glibc.exit(isUsage ? wrongUsage : failed)
    }
}

/// Standard error for people.
enum Terminal {
    static func warn(_ text: String) {
        let line = text + "\n"
        _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}
