import Glibc

/// What the settings of a daemon fill.
///
/// Each setting has one name: `log-format` in the file is `--log-format` as a flag and `FARM_LOG_FORMAT` in the environment. A flag
/// counts before the environment, that before the file, that before the default. A setting that does not exist is an error.
public protocol Configurable: Sendable {
    /// The defaults.
    init()
    /// All settings, in the order of the documentation.
    static var settings: [Setting<Self>] { get }
    /// Fills what follows from other settings, where it was not given itself.
    mutating func complete(given: Set<String>)
}

extension Configurable {
    /// Nothing follows.
    public mutating func complete(given: Set<String>) {}

    /// Reads the settings of all three sources.
    ///
    /// - Parameters:
    ///   - file: the YAML file's text and its name for messages; nil for none.
    ///   - environment: gives a variable's value; asked for the settings' variables only.
    ///   - flags: by the setting's name.
    public init(
        file: (name: String, text: String)?, environment: (String) -> String?, flags: [String: String]
    ) throws(ConfigurationError) {
        self.init()
        let known = Self.settings
        var values: [(source: String, key: String, value: String)] = []
        if let file {
            let mappings = Set(known.filter(\.takesMapping).map(\.name))
            for (key, value) in try SettingsFile.parse(file.text, name: file.name, mappings: mappings) {
                values.append((file.name, key, value))
            }
        }
        for setting in known {
            if let value = environment(setting.variable) { values.append((setting.variable, setting.name, value)) }
        }
        for (key, value) in flags.sorted(by: { $0.key < $1.key }) { values.append(("--\(key)", key, value)) }
        for (source, key, value) in values {
            guard let setting = known.first(where: { $0.name == key }) else {
                throw .unknownKey(key, source: source, nearest: EditDistance.nearest(to: key, among: known.map(\.name)))
            }
            guard setting.apply(&self, value) else {
                throw .badValue(key: key, value: value, source: source, expected: setting.expected)
            }
        }
        complete(given: Set(values.map(\.key)))
    }

    /// Reads the settings of a file, the process's environment and flags. Blocks.
    public static func load(path: String?, flags: [String: String]) throws(ConfigurationError) -> Self {
        var file: (name: String, text: String)?
        if let path { file = (path, try SettingsFile.text(of: path)) }
        return try Self(file: file, environment: { getenv($0).map { String(cString: $0) } }, flags: flags)
    }

    /// The setting of a name.
    public static func setting(_ name: String) -> Setting<Self>? { settings.first { $0.name == name } }
}

/// Why a configuration can't be used.
public enum ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownKey(String, source: String, nearest: String?)
    case badValue(key: String, value: String, source: String, expected: String)
    case unreadable(file: String, reason: String)

    /// Where it stands, what is wrong, and what was expected.
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
