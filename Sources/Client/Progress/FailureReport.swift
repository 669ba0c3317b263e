import FarmAPI

/// What is printed when a build failed: the step's last output, the place in the Dockerfile, the reason.
struct FailureReport {
    let view: BuildView
    let source: ProgressPrinter.SourceText
    /// For the command that prints the whole output.
    let build: String?
    let colours: Bool

    /// Lines of the Dockerfile around the instruction.
    private static let context = 3

    var text: String {
        var text = ""
        if let failed = view.failed, !failed.tail.isEmpty { text += output(of: failed) }
        if let lines = view.failure?.lines { text += excerpt(lines) }
        let reason = view.failure.map { Printable.lines($0.message).joined(separator: "\n") } ?? "the build failed"
        let hint = view.failure.flatMap { source.hint($0.message) }.map { Printable.line($0) + "\n" } ?? ""
        return text + (colours ? "\u{1B}[1;31mERROR:\u{1B}[0m " : "ERROR: ") + reason + "\n" + hint
    }

    private func output(of step: BuildView.Vertex) -> String {
        var text = "------\n > \(step.name):\n"
        if step.lineCount > step.tail.count {
            text += "(the last \(step.tail.count) of \(step.lineCount) lines"
            text += build.map { "; all: farm logs --step \(step.number) \($0))\n" } ?? ")\n"
        }
        return text + step.tail.map { "\($0)\n" }.joined() + "------\n"
    }

    private func excerpt(_ lines: ClosedRange<Int>) -> String {
        // Scalars and not characters: "\r\n" is one character.
        var all = source.text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if all.last?.isEmpty == true { all.removeLast() }
        guard lines.lowerBound >= 1, lines.lowerBound <= all.count else { return "" }
        let shown = max(1, lines.lowerBound - Self.context)...min(all.count, lines.upperBound + Self.context)
        let rule = String(repeating: "-", count: 20) + "\n"
        var text = "\(source.name):\(lines.lowerBound)\n" + rule
        for number in shown {
            let digits = String(repeating: " ", count: max(0, 4 - String(number).count)) + String(number)
            text += "\(digits) | \(lines.contains(number) ? ">>>" : "   ") \(Printable.line(String(all[number - 1])))\n"
        }
        return text + rule
    }
}
