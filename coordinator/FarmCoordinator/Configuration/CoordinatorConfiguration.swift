import Glibc
import Logging

/// Everything that an operator can say to a coordinator.
///
/// Each setting has one name: `log-format` in the file is `--log-format` as a flag and `FARM_LOG_FORMAT` in the environment. A flag
/// counts before the environment, that before the file, that before the default. A setting that does not exist is an error.
public struct CoordinatorConfiguration: Sendable, Equatable {
    /// Where everything lies that must outlive the process.
    public var data = CoordinatorConfiguration.defaultData
    /// Where to listen.
    public var listen = Endpoint(host: "0.0.0.0", port: CoordinatorConfiguration.defaultPort)
    /// The certificate of the farm's authority.
    public var authority = ""
    /// The coordinator's own certificate and its key.
    public var certificate = ""
    public var key = ""
    /// The authority's key, with which `enroll` issues certificates. A coordinator that serves does not read it.
    public var authorityKey = ""
    /// The Ed25519 key that grants are signed with.
    public var grantKey = ""
    /// The file of bearer tokens, hashed.
    public var tokens = ""
    public var logFormat = LogFormat.text
    public var logLevel = Logger.Level.info
    /// Bytes of the largest archive that `farm image import` may send.
    public var imageLimit = CoordinatorConfiguration.defaultImageLimit
    /// Bytes of the data disk that uploads leave free.
    public var reservedSpace = CoordinatorConfiguration.defaultReservedSpace

    /// Bytes of file contents of contexts that are kept for later builds.
    public var contextLimit = CoordinatorConfiguration.defaultContextLimit

    /// Where the package puts the data.
    public static let defaultData = "/var/lib/farm/coordinator"
    /// Not assigned by IANA, and not used by the tools that farms run beside.
    public static let defaultPort = 7480
    /// Larger than any base image that people mean; smaller than most disks.
    public static let defaultImageLimit: Int64 = 64 << 30
    /// SQLite needs room to work when uploads have filled the disk.
    public static let defaultReservedSpace: Int64 = 1 << 30

    /// A few hundred contexts of usual size.
    public static let defaultContextLimit: Int64 = 64 << 30

    /// The defaults.
    public init() { resolvePaths(given: []) }

    /// Reads the settings of all three sources.
    ///
    /// - Parameters:
    ///   - file: the YAML file's text and its name for messages; nil for none.
    ///   - environment: of the process; only names that begin with `FARM_` are looked at.
    ///   - flags: by the setting's name.
    public init(
        file: (name: String, text: String)?, environment: [String: String], flags: [String: String]
    ) throws(ConfigurationError) {
        var given: Set<String> = []
        var settings: [(source: String, key: String, value: String)] = []
        if let file {
            for (key, value) in try ConfigurationFile.read(file.text, name: file.name) { settings.append((file.name, key, value)) }
        }
        for key in Setting.all.map(\.name) {
            let variable = Self.variable(for: key)
            if let value = environment[variable] { settings.append((variable, key, value)) }
        }
        for (key, value) in flags.sorted(by: { $0.key < $1.key }) { settings.append(("--\(key)", key, value)) }
        for (source, key, value) in settings {
            guard let setting = Setting.all.first(where: { $0.name == key }) else {
                throw .unknownKey(key, source: source, nearest: Self.nearest(to: key))
            }
            guard setting.apply(&self, value) else {
                throw .badValue(key: key, value: value, source: source, expected: setting.expected)
            }
            given.insert(key)
        }
        resolvePaths(given: given)
    }

    /// `log-format` → `FARM_LOG_FORMAT`.
    static func variable(for key: String) -> String {
        "FARM_" + key.uppercased().map { $0 == "-" ? "_" : $0 }
    }

    /// The setting that is spelt most like `key`, where there is one that could have been meant.
    static func nearest(to key: String) -> String? {
        let candidates = Setting.all.map { (name: $0.name, distance: EditDistance.between($0.name, key)) }
        guard let best = candidates.min(by: { $0.distance < $1.distance }), best.distance <= max(2, key.count / 3) else { return nil }
        return best.name
    }

    // What was not given lies in the data directory, as `farm-coordinator init` makes it.
    private mutating func resolvePaths(given: Set<String>) {
        let layout = DataLayout(data: data)
        if !given.contains("authority") { authority = layout.authority }
        if !given.contains("authority-key") { authorityKey = layout.authorityKey }
        if !given.contains("certificate") { certificate = layout.certificate }
        if !given.contains("key") { key = layout.key }
        if !given.contains("grant-key") { grantKey = layout.grantKey }
        if !given.contains("tokens") { tokens = layout.tokens }
    }
}

/// One setting: its name, what its value looks like, and where it goes.
public struct Setting: Sendable {
    /// In the file and as a flag.
    public let name: String
    /// What it is for, one line.
    public let help: String
    /// What a value looks like, for messages.
    public let expected: String
    let apply: @Sendable (inout CoordinatorConfiguration, String) -> Bool

    /// All settings, in the order of the documentation.
    public static let all: [Setting] = [
        path("data", "directory of everything that must outlive the process", \.data),
        Setting(name: "listen", help: "where to listen", expected: "HOST:PORT") { configuration, value in
            guard let endpoint = Endpoint(value) else { return false }
            configuration.listen = endpoint
            return true
        },
        path("authority", "certificate of the farm's authority", \.authority),
        path("authority-key", "key of the authority, for `enroll`", \.authorityKey),
        path("certificate", "the coordinator's certificate", \.certificate),
        path("key", "key of the coordinator's certificate", \.key),
        path("grant-key", "key that grants are signed with", \.grantKey),
        path("tokens", "file of bearer tokens", \.tokens),
        Setting(name: "log-format", help: "form of the log", expected: "text or json") { configuration, value in
            guard let format = LogFormat(rawValue: value) else { return false }
            configuration.logFormat = format
            return true
        },
        Setting(
            name: "log-level", help: "least severity that is logged", expected: "trace, debug, info, notice, warning, error or critical"
        ) { configuration, value in
            guard let level = Logger.Level(rawValue: value) else { return false }
            configuration.logLevel = level
            return true
        },
        bytes("image-limit", "largest archive that `farm image import` may send", \.imageLimit),
        bytes("context-limit", "file contents of contexts that are kept for later builds", \.contextLimit),
        bytes("reserved-space", "bytes of the data disk that uploads leave free", \.reservedSpace),
    ]

    private static func path(
        _ name: String, _ help: String, _ field: WritableKeyPath<CoordinatorConfiguration, String> & Sendable
    ) -> Setting {
        Setting(name: name, help: help, expected: "a path") { configuration, value in
            guard !value.isEmpty, !value.utf8.contains(0) else { return false }
            configuration[keyPath: field] = value
            return true
        }
    }

    private static func bytes(
        _ name: String, _ help: String, _ field: WritableKeyPath<CoordinatorConfiguration, Int64> & Sendable
    ) -> Setting {
        Setting(name: name, help: help, expected: "bytes, or a number with K, M, G or T (powers of 1024)") { configuration, value in
            guard let bytes = ByteCount.parse(value) else { return false }
            configuration[keyPath: field] = bytes
            return true
        }
    }
}

/// Why a configuration can't be used.
public enum ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownKey(String, source: String, nearest: String?)
    case badValue(key: String, value: String, source: String, expected: String)
    case unreadable(file: String, reason: String)

    public var description: String {
        switch self {
        case .unknownKey(let key, let source, let nearest):
            "\(source): there is no setting '\(key)'" + (nearest.map { "; did you mean '\($0)'?" } ?? "")
        case .badValue(let key, let value, let source, let expected):
            "\(source): '\(value)' is no value for '\(key)': expected \(expected)"
        case .unreadable(let file, let reason): "\(file): \(reason)"
        }
    }
}

extension CoordinatorConfiguration {
    /// Reads the settings of a file, the process's environment and flags. Blocks.
    public static func load(path: String?, flags: [String: String]) throws(ConfigurationError) -> CoordinatorConfiguration {
        var file: (name: String, text: String)?
        if let path {
            do {
                guard let bytes = try FileAccess.read(path) else {
                    throw ConfigurationError.unreadable(file: path, reason: "there is no such file")
                }
                file = (path, String(decoding: bytes, as: UTF8.self))
            } catch let error as ConfigurationError {
                throw error
            } catch {
                throw .unreadable(file: path, reason: "\(error)")
            }
        }
        return try CoordinatorConfiguration(file: file, environment: environment(), flags: flags)
    }

    /// The variables of the process that begin with `FARM_`.
    private static func environment() -> [String: String] {
        var variables: [String: String] = [:]
        for key in Setting.all.map(\.name) {
            let name = variable(for: key)
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        return variables
    }
}
