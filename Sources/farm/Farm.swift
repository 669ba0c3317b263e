import ArgumentParser
import Client
import FarmAPI
import FoundationEssentials

/// The command line of the farm.
@main struct Farm: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "farm", abstract: "Builds container images on a team's own machines; the caches follow the build.",
        version: farmVersion,
        subcommands: [
            Submit.self, Builds.self, Show.self, Logs.self, Cancel.self, Agents.self, Drain.self, Resume.self, Volumes.self, Image.self,
            Dev.self,
        ])

    static func main() async {
        Interrupts.catchSignals()
        do {
            var command = try parseAsRoot(LeadingConfig.moved(Array(CommandLine.arguments.dropFirst())))
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch let error as ClientError {
            if error != .buildFailed { Self.say("farm: \(error)") }
            endProcess(error.exitCode)
        } catch {
            // Help and version are "errors" to the parser: on standard output, exit 0. Anything else is wrong usage.
            let text = fullMessage(for: error)
            if exitCode(for: error).isSuccess {
                print(text)
                endProcess(0)
            }
            Self.say(text)
            endProcess(2)
        }
    }
}

/// `--config`, for every command that speaks to a farm.
struct FarmOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The farm's client.yaml (else $FARM_CONFIG, else ~/.config/farm/client.yaml).", valueName: "FILE"))
    var config: String?

    func settings() throws -> ClientSettings { try ClientSettings.load(path: config, environment: ProcessInfo.processInfo.environment) }
}
