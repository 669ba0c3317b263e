import Logging

/// One setting: a key of the file, a flag and an environment variable.
public struct Setting<Configuration>: Sendable {
    /// In the file and as a flag.
    public let name: String
    /// What it is for, one line.
    public let help: String
    /// What a value looks like, for messages.
    public let expected: String
    /// In the file it may also be a mapping of `NAME: VALUE`.
    let takesMapping: Bool
    /// False where the value makes no sense.
    let apply: @Sendable (inout Configuration, String) -> Bool

    /// `log-format` → `FARM_LOG_FORMAT`.
    public var variable: String { "FARM_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 }) }

    /// A setting of a field; `parse` gives nil for what is no value of it.
    public init<Value>(
        _ name: String, _ help: String, expected: String, takesMapping: Bool = false,
        _ field: WritableKeyPath<Configuration, Value> & Sendable, parse: @escaping @Sendable (String) -> Value?
    ) {
        self.name = name
        self.help = help
        self.expected = expected
        self.takesMapping = takesMapping
        apply = { configuration, text in
            guard let value = parse(text) else { return false }
            configuration[keyPath: field] = value
            return true
        }
    }

    /// A setting of a field that is nil unless it is set.
    public init<Value>(
        _ name: String, _ help: String, expected: String, optional field: WritableKeyPath<Configuration, Value?> & Sendable,
        parse: @escaping @Sendable (String) -> Value?
    ) {
        self.init(name, help, expected: expected, field) { text in parse(text).map { .some($0) } }
    }

    /// A file or directory.
    public static func path(_ name: String, _ help: String, _ field: WritableKeyPath<Configuration, String> & Sendable) -> Self {
        Self(name, help, expected: "a path", field) { $0.isEmpty || $0.utf8.contains(0) ? nil : $0 }
    }

    /// A host and a port.
    public static func endpoint(_ name: String, _ help: String, _ field: WritableKeyPath<Configuration, Endpoint> & Sendable) -> Self {
        Self(name, help, expected: "HOST:PORT", field) { Endpoint($0) }
    }

    /// A number of bytes.
    public static func bytes(_ name: String, _ help: String, _ field: WritableKeyPath<Configuration, Int64> & Sendable) -> Self {
        Self(name, help, expected: ByteCount.expected, field) { ByteCount.parse($0) }
    }

    /// `log-format`
    public static func logFormat(_ field: WritableKeyPath<Configuration, LogFormat> & Sendable) -> Self {
        Self("log-format", "form of the log", expected: "text or json", field) { LogFormat(rawValue: $0) }
    }

    /// `log-level`
    public static func logLevel(_ field: WritableKeyPath<Configuration, Logger.Level> & Sendable) -> Self {
        Self(
            "log-level", "least severity that is logged", expected: "trace, debug, info, notice, warning, error or critical", field
        ) { Logger.Level(rawValue: $0) }
    }
}
