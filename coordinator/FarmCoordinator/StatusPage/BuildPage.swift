import BuildPlan
import Daemon
import FarmAPI

/// `/builds/{id}`: a build's stages and steps, and its log as it comes.
struct BuildPage: Sendable {
    var build: BuildDescription
    /// Those of the build's project.
    var volumes: [VolumeDescription] = []
    var now: Timestamp

    var content: HTML {
        """
        <section id="summary" data-part\(build.status.isFinal ? " data-final" : "")>\(summary)</section>
        <section id="stages" data-part>\(stages)</section>
        <section id="volumes" data-part>\(volumeTable)</section>
        <h2>Log</h2><div class="log" id="log" tabindex="0" aria-label="log"></div>
        <noscript><p class="soft">The log needs JavaScript here; <code>farm logs \(build.id)</code> prints it.</p></noscript>
        """
    }

    private var summary: HTML {
        let image: HTML
        if let images = build.images, !images.isEmpty {
            let lines = images.sorted { $0.key < $1.key }.map { name, image -> HTML in
                "<p>Image \(name) <code>\(image.digest.description)</code></p>"
            }
            image = "\(lines)"
        } else {
            image = build.image.map { "<p>Image <code>\($0.digest.description)</code></p>" as HTML } ?? ""
        }
        let error = build.error.map { "<div class=\"error\">\($0)</div>" as HTML } ?? ""
        return """
            <h1>\(build.project) <span class="soft">\(build.id)</span></h1>
            <p>\(Show.status(build.status.rawValue)) · \(Show.span(from: build.startedAt, to: build.finishedAt, now: now))
            · submitted \(Show.ago(build.createdAt, now: now))\(received)</p>\(wishes)\(image)\(error)
            """
    }

    /// What was asked for beside the plan.
    private var wishes: HTML {
        var parts: [String] = []
        if let platform = build.platform { parts.append(platform.description) }
        if let reservation = ResourceText.reservation(cpus: build.cpus, memory: build.memory) {
            parts.append("\(reservation) for each stage")
        }
        if let priority = build.priority, priority != 0 { parts.append("priority \(PriorityName.text(of: priority))") }
        if let require = build.require { parts.append("requires \(ResourceText.labels(require))") }
        if let prefer = build.prefer { parts.append("prefers \(ResourceText.labels(prefer))") }
        return parts.isEmpty ? "" : "<p class=\"soft\">\(parts.joined(separator: " · "))</p>"
    }

    private var volumeTable: HTML {
        volumes.isEmpty ? "" : "<h2>Volumes of \(build.project)</h2>\(VolumeTable(volumes: volumes, now: now).content)"
    }

    private var received: String {
        let bytes = build.stages.flatMap { $0.steps.map(\.bytes) }
        let kinds = [("layers", bytes.map(\.layers)), ("context", bytes.map(\.context)), ("volumes", bytes.map(\.volumes))]
        let parts = kinds.compactMap { name, counts -> String? in
            let total = Show.total(counts)
            return total > 0 ? "\(name) \(Show.bytes(total))" : nil
        }
        return parts.isEmpty ? "" : " · received over the network: \(parts.joined(separator: ", "))"
    }

    private var stages: HTML {
        if build.stages.isEmpty {
            return build.status.isFinal ? "" : "<p class=\"soft\">The plan is not made yet.</p>"
        }
        var number = 0
        let sections = build.stages.enumerated().map { index, stage -> HTML in
            let rows = stage.steps.map { step -> HTML in
                number += 1
                return row(step, number: number)
            }
            return """
                <h2>\(stage.name) \(Show.status(stage.status.rawValue))</h2><p class="soft">\(place(of: stage))</p>\
                \(stage.decision.map { DecisionView(decision: $0, id: "why-\(index)").content } ?? "")\
                \(rows.isEmpty ? "" : table(rows))
                """
        }
        return """
            \(sections)
            <p class="soft wide">Layers, context and volumes: bytes that a step received over the network.</p>
            """
    }

    private func table(_ rows: [HTML]) -> HTML {
        """
        <div class="scroll"><table class="steps"><thead><tr><th class="num count">#</th><th>Step</th><th class="state">Status</th>
        <th class="num">Duration</th>
        <th class="num wide">Layers</th><th class="num wide">Context</th><th class="num wide">Volumes</th></tr></thead>
        <tbody>\(rows)</tbody></table></div>
        """
    }

    private func row(_ step: BuildDescription.Step, number: Int) -> HTML {
        let exit = step.exitCode.flatMap { $0 == 0 ? nil : " (exit \($0))" } ?? ""
        return """
            <tr><td class="num">\(number)</td><td class="name"><code>\(step.name)</code></td>
            <td>\(step.cached ? Show.status("cached") : Show.status(step.status.rawValue))\(exit)</td>
            <td class="num">\(step.cached ? "–" : Show.span(from: step.startedAt, to: step.finishedAt, now: now))</td>
            <td class="num wide">\(bytes(step.bytes.layers))</td><td class="num wide">\(bytes(step.bytes.context))</td>
            <td class="num wide">\(bytes(step.bytes.volumes))</td></tr>
            """
    }

    private func place(of stage: BuildDescription.Stage) -> String {
        var parts: [String] = []
        if let agent = stage.agent { parts.append("on \(agent)") }
        if stage.attempts > 1 { parts.append("attempt \(stage.attempts)") }
        if let placement = stage.placement { parts.append(placement) }
        return parts.joined(separator: " · ")
    }

    private func bytes(_ count: Int64) -> String { count == 0 ? "–" : Show.bytes(count) }
}
