import ArgumentParser
import Client

struct Dev: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a cluster on this machine: a coordinator and agents, each a process of its own.",
        discussion: "Prints 'ready: https://HOST:PORT' when all agents have joined; SIGINT or SIGTERM ends everything.")

    @Option(help: ArgumentHelp("How many agents: agent-1 to agent-N.", valueName: "N")) var agents = 2
    @Option(help: ArgumentHelp("Where everything is kept; the same folder again is the same cluster.", valueName: "DIR")) var data: String
    @Option(help: ArgumentHelp("Where the coordinator listens (default: as the last time, else 127.0.0.1:7480).", valueName: "HOST:PORT"))
    var listen: String?

    func run() async throws {
        let address = try listen.map { text in
            guard let address = HostPort(text) else { throw ClientError.usage("--listen \(text): expected HOST:PORT") }
            return address
        }
        let cluster = try DevCluster(.init(agents: agents, data: data, listen: address))
        do {
            // Its daemons must not be left behind: each of them has a time limit of its own.
            try await Interrupts.cancelling(patience: nil) { try await cluster.run() }
        } catch is CancellationError {
            // Ending by a signal is how it is meant to end.
        }
    }
}
