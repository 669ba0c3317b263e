import BuildPlan

/// The words for a choice.
enum Explanation {
    /// More candidates than this would not help who reads it.
    static let shown = 3

    static func text(for stage: StageDemand, candidates: [Candidate]) -> String {
        guard let best = candidates.first else { return "" }
        if candidates.count == 1 {
            let why = stage.require.isEmpty ? "the only agent that can run it" : "the only agent with " + labels(stage.require)
            return "\(best.agent): \(why); \(sum(best))"
        }
        let others = candidates.dropFirst().prefix(shown - 1).map { "\($0.agent): \(sum($0))" }
        let rest = candidates.count > shown ? ["\(candidates.count - shown) more"] : []
        return (["\(best.agent): \(sum(best))"] + others + rest).joined(separator: "; ")
    }

    private static func labels(_ required: [String: String]) -> String {
        required.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }

    private static func sum(_ candidate: Candidate) -> String {
        let queue = candidate.queue > 0 ? "busy for \(seconds(candidate.queue)), " : ""
        return "\(queue)\(bytes(candidate.missingBytes)) to bring, done in about \(seconds(candidate.finish))"
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
