import BuildPlan
import FarmAPI

/// What `farm show` prints of a build. Pure.
struct BuildText {
    var build: BuildDescription
    var now: Timestamp
    /// The terminal's width; nil: nothing is left out.
    var columns: Int?

    var text: String {
        var text = "build      \(build.id)\nproject    \(Printable.line(build.project))\nstatus     \(build.status.rawValue)"
        if build.startedAt != nil { text += ", \(Self.duration(build.startedAt, build.finishedAt, now: now))" }
        text += "\nsubmitted  \(Human.age(now.seconds(since: build.createdAt))), \(build.createdAt.description.prefix(19))Z\n"
        text += wishes
        if let images = build.images, !images.isEmpty {
            for (name, image) in images.sorted(by: { $0.key < $1.key }) {
                text += "image      \(image.digest)\(name.isEmpty ? "" : " \(Printable.line(name))")\n"
            }
        } else if let image = build.image {
            text += "image      \(image.digest)\n"
        }
        if let error = build.error { text += "error      \(Printable.lines(error).joined(separator: "\n           "))\n" }
        let received = received(build.stages.flatMap(\.steps))
        if !received.isEmpty { text += "received   \(received)\n" }
        var number = 0
        for stage in build.stages {
            text += "\n" + heading(of: stage)
            if let decision = stage.decision {
                text += DecisionText(decision: decision, columns: columns).text
            } else if let placement = stage.placement {
                text += "  placed: \(Printable.line(placement))\n"
            }
            if stage.steps.isEmpty { continue }
            var table = Table(["  #", "STEP", "STATUS", "TIME", "RECEIVED"], flexible: 1)
            for step in stage.steps {
                number += 1
                table.append([
                    (number < 10 ? "  " : " ") + "\(number)", step.name, status(of: step),
                    step.cached ? "" : Self.duration(step.startedAt, step.finishedAt, now: now), self.received([step]),
                ])
            }
            text += table.text(columns: columns)
        }
        return text
    }

    /// What was asked for beside the plan, a line each.
    private var wishes: String {
        var lines: [(String, String)] = []
        if let platform = build.platform { lines.append(("platform", platform.description)) }
        if let reservation = ResourceText.reservation(cpus: build.cpus, memory: build.memory) {
            lines.append(("resources", "\(reservation) for each stage"))
        }
        if let priority = build.priority, priority != 0 { lines.append(("priority", PriorityName.text(of: priority))) }
        if let require = build.require { lines.append(("requires", ResourceText.labels(require))) }
        if let prefer = build.prefer { lines.append(("prefers", ResourceText.labels(prefer))) }
        return lines.map { name, value in
            name + String(repeating: " ", count: max(1, 11 - name.count)) + Printable.line(value) + "\n"
        }.joined()
    }

    private func heading(of stage: BuildDescription.Stage) -> String {
        var text = "\(Printable.line(stage.name)): \(stage.status.rawValue)"
        if let agent = stage.agent { text += " on \(Printable.line(agent))" }
        if stage.attempts > 1 { text += ", attempt \(stage.attempts)" }
        return text + "\n"
    }

    private func status(of step: BuildDescription.Step) -> String {
        if step.cached { return "cached" }
        guard let code = step.exitCode, code != 0 else { return step.status.rawValue }
        return "\(step.status.rawValue), exit \(code)"
    }

    /// What came over the network, without what did not.
    private func received(_ steps: [BuildDescription.Step]) -> String {
        let kinds: [(String, (ReceivedBytes) -> Int64)] = [("layers", \.layers), ("context", \.context), ("volumes", \.volumes)]
        return kinds.compactMap { name, bytes in
            let sum = steps.reduce(0) { $0 &+ bytes($1.bytes) }
            return sum > 0 ? "\(name) \(Human.bytes(sum))" : nil
        }.joined(separator: ", ")
    }

    /// The time between, or until now; empty for what has not begun.
    static func duration(_ start: Timestamp?, _ end: Timestamp?, now: Timestamp) -> String {
        guard let start else { return "" }
        return Human.duration(max(0, (end ?? now).seconds(since: start)))
    }
}
