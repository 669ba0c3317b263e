import ArgumentParser
import Daemon
import FarmCoordinator
import Logging

/// The default: run the coordinator until a signal ends it.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the coordinator (the default).")

    @OptionGroup var settings: Settings

    mutating func run() async throws {
        let configuration = try settings.read()
        LoggingSystem.bootstrap { StandardErrorLog(label: $0, format: configuration.logFormat, level: configuration.logLevel) }
        let log = Logger(label: "coordinator")
        CoreFiles.forbid()
        FileDescriptors.raiseLimit()
        let stops = Signals.stops()
        let service: CoordinatorService
        do { service = try await CoordinatorService.start(configuration, log: log) } catch {
            log.critical("can't start: \(error)")
            throw ExitCode(FarmCoordinatorCommand.failed)
        }
        let stop = try await withThrowingTaskGroup(of: Signals.Stop?.self) { group in
            group.addTask {
                do { try await service.run() } catch {
                    log.critical("ended: \(error)")
                    throw ExitCode(FarmCoordinatorCommand.failed)
                }
                return nil
            }
            group.addTask {
                for await stop in stops { return stop }
                return nil
            }
            let first = try await group.next() ?? nil
            group.cancelAll()
            try await group.waitForAll()
            return first
        }
        if case .interrupt = stop { throw ExitCode(FarmCoordinatorCommand.interrupted) }
    }
}
