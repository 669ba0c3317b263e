import BuildPlan

/// The words for a choice.
enum Explanation {
    /// More candidates than this would not help who reads it.
    static let shown = 3

    static func text(for placement: Placement) -> String {
        guard let best = placement.candidates.first else { return "" }
        if placement.compared == 1 {
            let why = placement.require.isEmpty ? "the only agent that can run it" : "the only agent with " + labels(placement.require)
            return "\(best.agent): \(why); \(sum(best))"
        }
        let others = placement.candidates.dropFirst().prefix(shown - 1).map { "\($0.agent): \(sum($0))" }
        let rest = placement.compared > shown ? ["\(placement.compared - shown) more"] : []
        return (["\(best.agent): \(sum(best))"] + others + rest).joined(separator: "; ")
    }

    static func labels(_ required: [String: String]) -> String {
        required.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }

    private static func sum(_ candidate: Candidate) -> String {
        let penalty = candidate.penalty > 0 ? "without preferred labels, " : ""
        let queue = penalty + (candidate.queue > 0 ? "busy for \(seconds(candidate.queue)), " : "")
        return "\(queue)\(bytes(candidate.missingBytes)) to bring, done in about \(seconds(candidate.finish))"
    }

    /// Some of a list that may be long.
    static func list(_ parts: [String]) -> String {
        let rest = parts.count > listed ? ", and \(parts.count - listed) more" : ""
        return parts.prefix(listed).joined(separator: ", ") + rest
    }

    /// More names than this nobody reads.
    static let listed = 8

    /// `2 CPUs and 1 GiB of memory`, or the one of them that there is.
    static func resources(_ cpus: Double, _ memory: Int64) -> String {
        let parts = [
            cpus > 0 ? "\(hundredths(cpus)) \(cpus == 1 ? "CPU" : "CPUs")" : nil, memory > 0 ? "\(binary(memory)) of memory" : nil,
        ]
        return parts.compactMap(\.self).joined(separator: " and ")
    }

    /// The most that one stage can have on an agent.
    static func largest(_ agent: AgentProfile) -> String {
        if let reason = agent.withoutLimits { return "\(agent.name): none, \(reason)" }
        let resources = resources(agent.largestCPUs, agent.largestMemory)
        return "\(agent.name): \(resources.isEmpty ? "none" : resources)"
    }

    /// Memory, as it is asked for: by powers of 1024, exactly where that is short.
    static func binary(_ value: Int64) -> String {
        var amount = Double(value)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if amount < 1024 { return "\(number(amount)) \(unit)" }
            amount /= 1024
        }
        return "\(number(amount)) TiB"
    }

    /// A whole number without a fraction, others with a tenth.
    static func number(_ value: Double) -> String {
        !value.isFinite ? "any number of" : value == value.rounded() && value < 1e9 ? "\(Int(value))" : tenths(min(value, 1e9))
    }

    static func seconds(_ value: Double) -> String {
        value < 10 ? "\(tenths(value)) s" : "\(Int(min(value, 1e9).rounded())) s"
    }

    static func bytes(_ value: Int64) -> String {
        var amount = Double(value)
        for unit in ["B", "kB", "MB", "GB"] {
            if amount < 1000 { return unit == "B" ? "\(value) B" : "\(tenths(amount)) \(unit)" }
            amount /= 1000
        }
        return "\(tenths(amount)) TB"
    }

    /// At most two digits of a fraction.
    static func hundredths(_ value: Double) -> String {
        let scaled = Int((min(max(0, value), 1e9) * 100).rounded())
        let fraction = scaled % 100
        if fraction == 0 { return "\(scaled / 100)" }
        return "\(scaled / 100)." + (fraction % 10 == 0 ? "\(fraction / 10)" : fraction < 10 ? "0\(fraction)" : "\(fraction)")
    }

    private static func tenths(_ value: Double) -> String {
        let scaled = Int((value * 10).rounded())
        return "\(scaled / 10).\(scaled % 10)"
    }
}
