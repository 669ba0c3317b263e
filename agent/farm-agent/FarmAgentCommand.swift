import ArgumentParser
import Daemon
import FarmAPI
import FarmAgent
import Glibc

/// Every setting of the configuration as a flag.
struct FarmAgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "farm-agent", abstract: "Run build stages for a farm's coordinator.",
        discussion:
            "Every setting is also a key of the file and an environment variable FARM_…: --log-format, log-format, FARM_LOG_FORMAT.",
        version: farmVersion)

    @Option(help: ArgumentHelp("YAML file of settings.", valueName: "file")) var config: String?
    @Option(help: help("coordinator")) var coordinator: String?
    @Option(help: help("data")) var data: String?
    @Option(help: help("listen")) var listen: String?
    @Option(help: help("advertise")) var advertise: String?
    @Option(help: help("authority")) var authority: String?
    @Option(help: help("certificate")) var certificate: String?
    @Option(help: help("key")) var key: String?
    @Option(help: help("labels")) var labels: String?
    @Option(help: help("slots")) var slots: String?
    @Option(help: help("cpus")) var cpus: String?
    @Option(help: help("memory")) var memory: String?
    @Option(help: help("emulate")) var emulate: String?
    @Option(help: help("runtime")) var runtime: String?
    @Option(help: help("layer-cache-size")) var layerCacheSize: String?
    @Option(help: help("host-paths")) var hostPaths: String?
    @Option(help: help("volume-high")) var volumeHigh: String?
    @Option(help: help("volume-low")) var volumeLow: String?
    @Option(help: help("copy-bandwidth")) var copyBandwidth: String?
    @Option(help: help("step-cores")) var stepCores: String?
    @Option(help: help("step-memory")) var stepMemory: String?
    @Option(help: help("log-format")) var logFormat: String?
    @Option(help: help("log-level")) var logLevel: String?

    private static func help(_ name: String) -> ArgumentHelp {
        let setting = AgentConfiguration.setting(name)
        return ArgumentHelp("\(setting?.help ?? name): \(setting?.expected ?? "")", valueName: "value")
    }

    /// Reads the command line; help and version end the process with 0, wrong usage with 2.
    static func parsed() -> FarmAgentCommand {
        do {
            return try FarmAgentCommand.parse()
        } catch {
            guard exitCode(for: error).isSuccess else {
                say(fullMessage(for: error))
                Glibc.exit(2)
            }
            print(fullMessage(for: error))
            Glibc.exit(0)
        }
    }

    /// What file, environment and flags give together. Blocking.
    func configuration() throws(ConfigurationError) -> AgentConfiguration {
        let flags: [String: String?] = [
            "coordinator": coordinator, "data": data, "listen": listen, "advertise": advertise, "authority": authority,
            "certificate": certificate, "key": key, "labels": labels, "slots": slots, "cpus": cpus, "memory": memory,
            "emulate": emulate, "runtime": runtime, "layer-cache-size": layerCacheSize, "volume-high": volumeHigh,
            "volume-low": volumeLow, "copy-bandwidth": copyBandwidth, "host-paths": hostPaths, "step-cores": stepCores,
            "step-memory": stepMemory, "log-format": logFormat, "log-level": logLevel,
        ]
        return try AgentConfiguration.load(path: config, flags: flags.compactMapValues(\.self))
    }

    /// A line on standard error, before there is a log.
    static func say(_ text: String) {
        _ = "farm-agent: \(text)\n".withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}
