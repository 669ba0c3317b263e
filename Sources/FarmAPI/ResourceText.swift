/// Processors, memory and priorities in words, the same on the page, in `farm` and in agents' messages.
public enum ResourceText {
    /// `2`, `0.5`, `1.25`
    public static func cpus(_ value: Double) -> String {
        let scaled = Int((min(max(0, value.isFinite ? value : 0), 1e9) * 100).rounded())
        let fraction = scaled % 100
        if fraction == 0 { return "\(scaled / 100)" }
        return "\(scaled / 100)." + (fraction % 10 == 0 ? "\(fraction / 10)" : fraction < 10 ? "0\(fraction)" : "\(fraction)")
    }

    /// `512 MiB`, `1.5 GiB`: powers of 1024, as it is asked for.
    public static func memory(_ bytes: Int64) -> String {
        var value = Double(max(0, bytes))
        var unit = "B"
        for next in ["KiB", "MiB", "GiB", "TiB"] where value >= 1024 {
            value /= 1024
            unit = next
        }
        let tenths = Int((value * 10).rounded())
        return (tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)") + " \(unit)"
    }

    /// `2 CPUs and 1 GiB of memory`, or the one of them that there is; nil where neither is.
    public static func reservation(cpus: Double?, memory: Int64?) -> String? {
        let parts = [cpus.map { "\(self.cpus($0)) \($0 == 1 ? "CPU" : "CPUs")" }, memory.map { "\(self.memory($0)) of memory" }]
        let given = parts.compactMap(\.self)
        return given.isEmpty ? nil : given.joined(separator: " and ")
    }

    /// `zone=b disk=ssd`, by name.
    public static func labels(_ labels: [String: String]) -> String {
        labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }
}

/// The words for priorities.
public enum PriorityName: String, CaseIterable, Sendable {
    case low, normal, high

    /// Four times as much as normal, or as little; what lies between and beyond is asked for by number.
    public var value: Int {
        switch self {
        case .low: -2
        case .normal: 0
        case .high: 2
        }
    }

    /// Reads a word, or a number of ``BuildOptions/priorities``; nil for anything else.
    public static func value(of text: String) -> Int? {
        PriorityName(rawValue: text)?.value ?? Int(text).flatMap { BuildOptions.priorities.contains($0) ? $0 : nil }
    }

    /// `high`, or the number where there is no word.
    public static func text(of value: Int) -> String { allCases.first { $0.value == value }?.rawValue ?? "\(value)" }
}
