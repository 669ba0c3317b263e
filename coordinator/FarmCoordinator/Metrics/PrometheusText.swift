/// Metrics in Prometheus' text format, version 0.0.4.
struct PrometheusText: Sendable {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    enum Kind: String, Sendable { case gauge, counter }

    private(set) var text = ""

    /// Adds a metric with one sample for each set of labels.
    mutating func add(_ name: String, _ kind: Kind, help: String, _ samples: [(labels: [(String, String)], value: Double)]) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, value) in samples {
            let inside = labels.map { "\($0.0)=\"\(Self.escape($0.1))\"" }.joined(separator: ",")
            text += inside.isEmpty ? "\(name) \(Self.number(value))\n" : "\(name){\(inside)} \(Self.number(value))\n"
        }
    }

    /// Adds a metric without labels.
    mutating func add(_ name: String, _ kind: Kind, help: String, _ value: Double) { add(name, kind, help: help, [([], value)]) }

    private static func escape(_ value: String) -> String {
        value.unicodeScalars.map { scalar in
            switch scalar {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            default: String(scalar)
            }
        }.joined()
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }
}
