import ArgumentParser
import FarmAgent
import Glibc
import Yams

/// Every setting of the configuration as a flag.
struct FarmAgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "farm-agent", abstract: "Run build stages for a farm's coordinator.",
        discussion:
            "Every setting is also a key of the file and an environment variable FARM_…: --log-format, log-format, FARM_LOG_FORMAT.",
        version: farmAgentVersion)

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
    @Option(help: help("runtime")) var runtime: String?
    @Option(help: help("layer-cache-size")) var layerCacheSize: String?
    @Option(help: help("step-cores")) var stepCores: String?
    @Option(help: help("step-memory")) var stepMemory: String?
    @Option(help: help("log-format")) var logFormat: String?
    @Option(help: help("log-level")) var logLevel: String?

    private static func help(_ name: String) -> ArgumentHelp {
        let setting = AgentSetting.all.first { $0.name == name }
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
            "certificate": certificate, "key": key, "labels": labels, "slots": slots, "runtime": runtime,
            "layer-cache-size": layerCacheSize,
            "step-cores": stepCores, "step-memory": stepMemory, "log-format": logFormat, "log-level": logLevel,
        ]
        let file = try config.map { name throws(ConfigurationError) in (name: name, values: try ConfigurationFile.read(name)) }
        return try AgentConfiguration(
            file: file, environment: { getenv($0).map { String(cString: $0) } }, flags: flags.compactMapValues(\.self))
    }

    /// A line on standard error, before there is a log.
    static func say(_ text: String) {
        _ = "farm-agent: \(text)\n".withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}

/// The settings of a YAML file: scalars, and `labels` as a mapping too.
enum ConfigurationFile {
    private static let limit = 1 << 20

    static func read(_ path: String) throws(ConfigurationError) -> [(key: String, value: String)] {
        let text = try text(of: path)
        let node: Node?
        do { node = try Yams.compose(yaml: text) } catch { throw .unreadable(file: path, reason: "\(error)") }
        guard let node else { return [] }
        guard let mapping = node.mapping else { throw .unreadable(file: path, reason: "expected settings as KEY: VALUE") }
        var values: [(key: String, value: String)] = []
        for (keyNode, valueNode) in mapping {
            guard let key = keyNode.scalar?.string else { throw .unreadable(file: path, reason: "a key is not a text") }
            if let value = valueNode.scalar?.string {
                values.append((key, value))
            } else if let labels = valueNode.mapping {
                let pairs = labels.compactMap { name, value in
                    name.scalar.flatMap { name in value.scalar.map { "\(name.string)=\($0.string)" } }
                }
                guard pairs.count == labels.count else { throw .unreadable(file: path, reason: "'\(key)' must be a mapping of texts") }
                values.append((key, pairs.joined(separator: ",")))
            } else {
                throw .unreadable(file: path, reason: "'\(key)' must be one value")
            }
        }
        return values
    }

    private static func text(of path: String) throws(ConfigurationError) -> String {
        guard let file = fopen(path, "re") else { throw .unreadable(file: path, reason: String(cString: strerror(errno))) }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = bytes.withUnsafeMutableBytes { fread($0.baseAddress, 1, limit, file) }
        guard ferror(file) == 0 else { throw .unreadable(file: path, reason: "it can't be read") }
        guard count < limit else { throw .unreadable(file: path, reason: "it is larger than \(limit) bytes") }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
