import FarmAPI

/// What `farm show` prints of the reason why a stage is where it is. Pure.
struct DecisionText {
    var decision: PlacementDecision
    /// The terminal's width; nil: nothing is left out.
    var columns: Int?

    private static let indent = "    "

    var text: String {
        "  \(headline)\n" + (decision.outcome == .unplaceable ? objections : candidates)
    }

    private var headline: String {
        let agent = decision.agent.map(Printable.line) ?? "?"
        switch decision.outcome {
        case .placed: return "placed: on \(agent), \(comparison("the least sum")); \(usual)"
        case .waiting: return "waits: for \(agent), which is busy: \(comparison("still the least sum")); \(usual)"
        case .unplaceable: return "waits: \(Printable.line(decision.reason ?? "no agent can take it"))"
        }
    }

    private func comparison(_ best: String) -> String {
        decision.compared == 1 ? "the only agent that can run it" : "\(best) of \(decision.compared) agents that can run it"
    }

    private var usual: String {
        guard let usual = decision.usual else { return "it never ran before" }
        let spread = usual.runs > 1 ? " ± \(Human.duration(usual.deviation))" : ""
        return "usually runs \(Human.duration(usual.mean))\(spread) (\(usual.runs) \(usual.runs == 1 ? "run" : "runs"))"
    }

    private var candidates: String {
        guard !decision.candidates.isEmpty else { return "" }
        // Most builds have nothing to adjust: then the column would say nothing.
        let isAdjusted = decision.candidates.contains { $0.adjustment != 0 }
        var table = Table(["AGENT", "QUEUE", "TRANSFER", "RUN"] + (isAdjusted ? ["ADJUST"] : []) + ["SUM", "TO BRING"])
        for candidate in decision.candidates {
            table.append(
                [candidate.agent, seconds(candidate.queue), seconds(candidate.transfer), seconds(candidate.run)]
                    + (isAdjusted ? [seconds(candidate.adjustment)] : []) + [seconds(candidate.sum), Self.bytes(candidate.bytes)])
        }
        return lines(of: table, more: decision.compared - decision.candidates.count)
    }

    private var objections: String {
        guard !decision.objections.isEmpty else { return "" }
        var table = Table(["AGENT", "WHY NOT"])
        for objection in decision.objections { table.append([objection.agent, objection.reason]) }
        return lines(of: table, more: 0)
    }

    private func lines(of table: Table, more: Int) -> String {
        let width = columns.map { max(0, $0 - Self.indent.count) }
        let rows = table.text(columns: width).split(separator: "\n").map { "\(Self.indent)\($0)\n" }.joined()
        return more > 0 ? "\(rows)\(Self.indent)and \(more) more\n" : rows
    }

    private func seconds(_ value: Double) -> String { value < 0 ? "-\(Human.duration(-value))" : Human.duration(value) }

    static func bytes(_ bytes: ReceivedBytes) -> String {
        let kinds = [("layers", bytes.layers), ("context", bytes.context), ("volumes", bytes.volumes)]
        let parts = kinds.compactMap { name, count in count > 0 ? "\(name) \(Human.bytes(count))" : nil }
        return parts.isEmpty ? "nothing" : parts.joined(separator: ", ")
    }
}
