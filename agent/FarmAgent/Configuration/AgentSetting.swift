import Logging

/// One setting: a key of the file, a flag and an environment variable.
public struct AgentSetting: Sendable {
    /// In the file and as a flag.
    public let name: String
    /// What it is for, one line.
    public let help: String
    /// What a value looks like.
    public let expected: String
    let apply: @Sendable (inout AgentConfiguration, String) -> Bool

    /// `log-format` → `FARM_LOG_FORMAT`.
    public var variable: String { "FARM_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 }) }

    /// All of them, in the order of the documentation.
    public static let all: [AgentSetting] = [
        endpoint("coordinator", "the coordinator", \.coordinator),
        path("data", "directory of layers, volumes and running steps", \.data),
        endpoint("listen", "where other agents are served; port 0 for a free one", \.listen),
        AgentSetting(name: "advertise", help: "address that other agents are told", expected: "HOST:PORT") { configuration, value in
            guard let endpoint = HostPort(value) else { return false }
            configuration.advertise = endpoint
            return true
        },
        path("authority", "certificate of the farm's authority", \.authority),
        path("certificate", "the agent's certificate; its common name is the agent's name", \.certificate),
        path("key", "key of the agent's certificate", \.key),
        AgentSetting(name: "labels", help: "what --require asks for", expected: "NAME=VALUE, several with commas") { configuration, value in
            guard let labels = Labels.parse(value) else { return false }
            configuration.labels = labels
            return true
        },
        AgentSetting(name: "slots", help: "steps that run at the same time (default: cores)", expected: "a number from 1 to 1024") {
            configuration, value in
            guard let slots = Int(value), (1...AgentConfiguration.slotLimit).contains(slots) else { return false }
            configuration.slots = slots
            return true
        },
        AgentSetting(name: "runtime", help: "OCI runtime", expected: "auto, crun, runc or a path") { configuration, value in
            guard ["auto", "crun", "runc"].contains(value) || value.hasPrefix("/") else { return false }
            configuration.runtime = value
            return true
        },
        AgentSetting(name: "layer-cache-size", help: "bytes of layers that are kept", expected: ByteCount.expected) {
            configuration, value in
            guard let bytes = ByteCount.parse(value) else { return false }
            configuration.layerCacheSize = bytes
            return true
        },
        AgentSetting(name: "step-cores", help: "cores that one step may use", expected: "a number above 0") { configuration, value in
            guard let cores = Double(value), cores > 0, cores.isFinite else { return false }
            configuration.stepCores = cores
            return true
        },
        AgentSetting(name: "step-memory", help: "memory that one step may use", expected: ByteCount.expected) { configuration, value in
            guard let bytes = ByteCount.parse(value), bytes > 0 else { return false }
            configuration.stepMemory = bytes
            return true
        },
        AgentSetting(name: "log-format", help: "form of the log", expected: "text or json") { configuration, value in
            guard let format = LogFormat(rawValue: value) else { return false }
            configuration.logFormat = format
            return true
        },
        AgentSetting(
            name: "log-level", help: "least severity that is logged", expected: "trace, debug, info, notice, warning, error or critical"
        ) { configuration, value in
            guard let level = Logger.Level(rawValue: value) else { return false }
            configuration.logLevel = level
            return true
        },
    ]

    private static func path(_ name: String, _ help: String, _ field: WritableKeyPath<AgentConfiguration, String> & Sendable)
        -> AgentSetting
    {
        AgentSetting(name: name, help: help, expected: "a path") { configuration, value in
            guard !value.isEmpty, !value.utf8.contains(0) else { return false }
            configuration[keyPath: field] = value
            return true
        }
    }

    private static func endpoint(
        _ name: String, _ help: String, _ field: WritableKeyPath<AgentConfiguration, HostPort> & Sendable
    ) -> AgentSetting {
        AgentSetting(name: name, help: help, expected: "HOST:PORT") { configuration, value in
            guard let endpoint = HostPort(value) else { return false }
            configuration[keyPath: field] = endpoint
            return true
        }
    }
}

/// `a=b,c=d`
enum Labels {
    static func parse(_ text: String) -> [String: String]? {
        var labels: [String: String] = [:]
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, !pair[0].isEmpty else { return nil }
            labels[String(pair[0])] = String(pair[1])
        }
        return labels
    }
}

/// `1048576`, `64G`, `512MiB`: units are powers of 1024.
enum ByteCount {
    static let expected = "bytes, or a number with K, M, G or T (powers of 1024)"

    static func parse(_ text: String) -> Int64? {
        var digits = text.uppercased()
        for suffix in ["IB", "B"] where digits.hasSuffix(suffix) {
            digits.removeLast(suffix.count)
            break
        }
        var shift: Int64 = 0
        if let unit = digits.last, let power = ["K": 10, "M": 20, "G": 30, "T": 40][unit] as Int64? {
            digits.removeLast()
            shift = power
        }
        guard let number = Int64(digits), number >= 0, number <= Int64.max >> shift else { return nil }
        return number << shift
    }
}

/// A host and a port: `127.0.0.1:7480`, `farm.example.org:7480`, `[::1]:7480`.
public struct HostPort: Sendable, Hashable, LosslessStringConvertible {
    /// A name or an address, without brackets.
    public var host: String
    /// 0 for a free one.
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT`; nil for anything else. An IPv6 address stands in brackets.
    public init?(_ description: String) {
        guard let colon = description.lastIndex(of: ":"), let port = UInt16(description[description.index(after: colon)...]) else {
            return nil
        }
        var host = description[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }) else { return nil }
        self.init(host: String(host), port: Int(port))
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
