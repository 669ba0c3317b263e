import FarmAPI

/// Why a stage is where it is, to be unfolded on a build's page.
struct DecisionView: Sendable {
    var decision: PlacementDecision
    /// Unique on the page: what is unfolded stays so when the page is renewed.
    var id: String

    var content: HTML {
        let body = decision.outcome == .unplaceable ? objections : candidates
        return """
            <details id="\(id)"><summary>\(summary)</summary>\(body)</details>
            """
    }

    private var summary: String {
        switch decision.outcome {
        case .placed: "Why \(decision.agent ?? "?"): \(comparison)"
        case .waiting: "Why it waits for \(decision.agent ?? "?"): \(comparison)"
        case .unplaceable: "Why no agent: \(decision.objections.count) looked at"
        }
    }

    private var comparison: String {
        let count = decision.compared == 1 ? "the only agent that can run it" : "\(decision.compared) agents compared"
        guard let usual = decision.usual else { return "\(count), never ran before" }
        let spread = usual.runs > 1 ? " ± \(Show.duration(usual.deviation))" : ""
        return "\(count), usually runs \(Show.duration(usual.mean))\(spread)"
    }

    private var candidates: HTML {
        let rows = decision.candidates.map { candidate -> HTML in
            """
            <tr><td class="name">\(candidate.agent)</td><td class="num">\(Show.duration(candidate.queue))</td>
            <td class="num">\(Show.duration(candidate.transfer))</td><td class="num">\(Show.duration(candidate.run))</td>
            <td class="num wide">\(adjustment(candidate.adjustment))</td><td class="num">\(Show.duration(max(0, candidate.sum)))</td>
            <td class="num wide">\(bytes(candidate.bytes.layers))</td><td class="num wide">\(bytes(candidate.bytes.context))</td>
            <td class="num wide">\(bytes(candidate.bytes.volumes))</td></tr>
            """
        }
        let more = decision.compared - decision.candidates.count
        let rest: HTML = more > 0 ? "<p class=\"soft\">and \(more) more</p>" : ""
        return """
            <div class="scroll"><table><thead><tr><th>Agent</th><th class="num">Queue</th><th class="num">Transfer</th><th class="num">Run</th>
            <th class="num wide">Adjust</th><th class="num">Sum</th><th class="num wide">Layers</th><th class="num wide">Context</th>
            <th class="num wide">Volumes</th></tr></thead><tbody>\(rows)</tbody></table></div>\(rest)
            """
    }

    private var objections: HTML {
        let rows = decision.objections.map { objection -> HTML in
            "<tr><td class=\"name\">\(objection.agent)</td><td>\(objection.reason)</td></tr>"
        }
        return """
            <div class="scroll"><table><thead><tr><th>Agent</th><th>Why not</th></tr></thead><tbody>\(rows)</tbody></table></div>
            """
    }

    private func adjustment(_ seconds: Double) -> String {
        seconds == 0 ? "–" : seconds < 0 ? "−\(Show.duration(-seconds))" : Show.duration(seconds)
    }

    private func bytes(_ count: Int64) -> String { count == 0 ? "–" : Show.bytes(count) }
}
