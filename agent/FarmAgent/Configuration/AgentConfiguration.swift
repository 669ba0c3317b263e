import Glibc
import Logging

/// How an agent is set up.
public struct AgentConfiguration: Sendable, Hashable {
    /// The coordinator as this machine reaches it.
    public var coordinator = HostPort(host: "127.0.0.1", port: AgentConfiguration.defaultCoordinatorPort)
    /// Layers, volumes and what running steps need: on a file system that overlayfs can use.
    public var data = AgentConfiguration.defaultData
    /// Where other agents are served.
    public var listen = HostPort(host: "0.0.0.0", port: AgentConfiguration.defaultPort)
    /// What other agents are told; nil: the host of `listen`, else this machine's name, and the port that was bound.
    public var advertise: HostPort?
    /// The certificate of the farm's authority.
    public var authority = AgentConfiguration.defaultFiles + "/authority.pem"
    /// This agent's own certificate, whose common name is the agent's name, and its key.
    public var certificate = AgentConfiguration.defaultFiles + "/certificate.pem"
    public var key = AgentConfiguration.defaultFiles + "/key.pem"
    /// What `--require` asks for, beside `name`, `os` and `arch`.
    public var labels: [String: String] = [:]
    /// Steps that run at the same time.
    public var slots = AgentConfiguration.cores
    /// `auto`, `crun`, `runc` or a path.
    public var runtime = "auto"
    /// Bytes of layers that are kept for later builds.
    public var layerCacheSize = AgentConfiguration.defaultLayerCacheSize
    /// Cores and bytes of memory that one step may use; nil for all.
    public var stepCores: Double?
    public var stepMemory: Int64?
    public var logFormat = LogFormat.text
    public var logLevel = Logger.Level.info

    /// Where the package puts the data.
    public static let defaultData = "/var/lib/farm/agent"
    static let defaultFiles = "/etc/farm/agent"
    static let defaultCoordinatorPort = 7480
    static let defaultPort = 7481
    /// A few dozen toolchain images with their builds.
    public static let defaultLayerCacheSize: Int64 = 100 << 30
    static let slotLimit = 1024

    static var cores: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// The defaults.
    public init() {}

    /// Reads the settings of all three sources; flags win over the environment, that over the file.
    ///
    /// - Parameters:
    ///   - file: the settings of the file and its name for messages; nil for none.
    ///   - environment: gives a variable's value; asked for names that begin with `FARM_` only.
    ///   - flags: by the setting's name.
    public init(
        file: (name: String, values: [(key: String, value: String)])?, environment: (String) -> String?, flags: [String: String]
    ) throws(ConfigurationError) {
        var settings: [(source: String, key: String, value: String)] = []
        if let file { settings += file.values.map { (file.name, $0.key, $0.value) } }
        for setting in AgentSetting.all {
            if let value = environment(setting.variable) { settings.append((setting.variable, setting.name, value)) }
        }
        for (key, value) in flags.sorted(by: { $0.key < $1.key }) { settings.append(("--\(key)", key, value)) }
        for (source, key, value) in settings {
            guard let setting = AgentSetting.all.first(where: { $0.name == key }) else {
                throw .unknownKey(key, source: source, known: AgentSetting.all.map(\.name))
            }
            guard setting.apply(&self, value) else {
                throw .badValue(key: key, value: value, source: source, expected: setting.expected)
            }
        }
    }
}

/// Why a configuration can't be used.
public enum ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownKey(String, source: String, known: [String])
    case badValue(key: String, value: String, source: String, expected: String)
    case unreadable(file: String, reason: String)

    public var description: String {
        switch self {
        case .unknownKey(let key, let source, let known):
            "\(source): there is no setting '\(key)'; there are \(known.joined(separator: ", "))"
        case .badValue(let key, let value, let source, let expected):
            "\(source): '\(value)' is no value for '\(key)': expected \(expected)"
        case .unreadable(let file, let reason): "\(file): \(reason)"
        }
    }
}
