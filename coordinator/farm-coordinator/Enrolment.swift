import ArgumentParser
import Daemon
import FarmCoordinator

/// Makes a new farm: authority, coordinator's certificate, grant key, first client.
struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a new farm's authority, certificates and first client. Overwrites nothing.")

    @Option(help: ArgumentHelp("Directory of everything that must outlive the coordinator.", valueName: "dir"))
    var data: String = CoordinatorConfiguration.defaultData
    @Option(help: ArgumentHelp("Where the coordinator will listen.", valueName: "host:port"))
    var listen: String = "0.0.0.0:\(CoordinatorConfiguration.defaultPort)"
    @Option(
        name: .customLong("names"), parsing: .upToNextOption,
        help: ArgumentHelp("Names and addresses by which agents and clients reach it; the first goes into client.yaml.", valueName: "name"))
    var names: [String] = []
    @Option(help: ArgumentHelp("Name of the first client.", valueName: "name")) var client: String = "admin"

    mutating func run() async throws {
        guard let endpoint = Endpoint(listen) else { throw ValidationError("--listen \(listen): expected HOST:PORT") }
        let made = try FarmSetup.initialize(data: data, listen: endpoint, names: names, client: client)
        print(made.nextSteps)
    }
}

/// Issues further certificates with the authority's key on this machine.
struct Enroll: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Issue a certificate for an agent, a client or the coordinator itself.",
        subcommands: [Agent.self, Client.self, Itself.self])

    struct Agent: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Issue a certificate for an agent.")
        @OptionGroup var settings: Settings
        @Argument(help: "The agent's name.") var name: String
        @Option(
            parsing: .upToNextOption, help: ArgumentHelp("Names and addresses at which other agents reach it.", valueName: "host"))
        var address: [String]
        @Option(help: ArgumentHelp("Directory for the files, which is made.", valueName: "dir")) var out: String

        mutating func run() async throws {
            print(try FarmSetup.enrollAgent(name, addresses: address, out: out, configuration: try settings.read()))
        }
    }

    struct Client: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Issue a certificate for a client.")
        @OptionGroup var settings: Settings
        @Argument(help: "The client's name.") var name: String
        @Option(help: ArgumentHelp("Directory for the files, which is made.", valueName: "dir")) var out: String
        @Option(help: ArgumentHelp("The coordinator as the client reaches it.", valueName: "host:port")) var coordinator: String?

        mutating func run() async throws {
            print(try FarmSetup.enrollClient(name, coordinator: coordinator, out: out, configuration: try settings.read()))
        }
    }

    struct Itself: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "coordinator", abstract: "Issue a new certificate for the coordinator, before the old one expires.")
        @OptionGroup var settings: Settings
        @Option(
            parsing: .upToNextOption, help: ArgumentHelp("Names and addresses by which it is reached.", valueName: "name"))
        var names: [String]
        @Option(help: ArgumentHelp("Directory for the files, which is made.", valueName: "dir")) var out: String

        mutating func run() async throws {
            print(try FarmSetup.enrollCoordinator(names: names, out: out, configuration: try settings.read()))
        }
    }
}

/// Bearer tokens.
struct Token: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make bearer tokens.", subcommands: [Create.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token and print it; only its hash is kept. Removing its line from the tokens file ends it.")
        @OptionGroup var settings: Settings
        @Argument(help: "For whom or what it is.") var name: String

        mutating func run() async throws {
            print(try TokenStore.create(name: name, file: try settings.read().tokens))
        }
    }
}
