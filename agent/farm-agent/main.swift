import ArgumentParser
import Daemon
import FarmAgent
import Glibc
import Logging
import Sandbox

// The mount namespace has to be left while there is one thread only: before anything asynchronous, and before the log.
let command = FarmAgentCommand.parsed()
let configuration: AgentConfiguration
do {
    configuration = try command.configuration()
} catch {
    FarmAgentCommand.say("\(error)")
    exit(2)
}
do {
    try MountNamespace.enter()
} catch {
    FarmAgentCommand.say("\(error); farm-agent mounts file systems and runs containers: start it as root")
    exit(1)
}
CoreFiles.forbid()
let stops = Signals.stops()
let logger = Logger(label: "agent") { StandardErrorLog(label: $0, format: configuration.logFormat, level: configuration.logLevel) }
do {
    let service = try await AgentService.start(configuration, logger: logger)
    let running = Task { await service.run() }
    let watching = Task {
        for await _ in stops {
            if running.isCancelled { exit(130) }
            running.cancel()
        }
    }
    await running.value
    watching.cancel()
    exit(0)
} catch {
    logger.critical("the agent can't work here", metadata: ["error": "\(error)"])
    exit(1)
}
