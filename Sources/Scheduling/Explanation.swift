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

    private static func tenths(_ value: Double) -> String {
        let scaled = Int((value * 10).rounded())
        return "\(scaled / 10).\(scaled % 10)"
    }
}
