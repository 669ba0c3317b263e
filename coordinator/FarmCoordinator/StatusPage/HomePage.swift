import BuildPlan
import Daemon
import FarmAPI

/// `/`: the farm at a glance.
struct HomePage: Sendable {
    var agents: [AgentDescription]
    /// The newest first.
    var builds: [BuildDescription]
    var volumes: [VolumeDescription]
    var images: [ImageDescription]
    var now: Timestamp

    /// Builds on the page; the rest is the command line's.
    static let buildLimit = 50

    var content: HTML {
        """
        <div id="glance" data-part class="glance">\(glance)</div>
        <section id="agents" data-part><h2>Agents</h2>\(agentTable)</section>
        <section id="builds" data-part><h2>Builds</h2>\(buildTable)</section>
        <section id="volumes" data-part><h2>Volumes</h2>\(volumeTable)</section>
        <section id="images" data-part><h2>Images</h2>\(imageTable)</section>
        """
    }

    private var glance: HTML {
        let ready = agents.filter { $0.state == .ready }
        let slots = ready.reduce(0) { $0 + $1.slots }
        let busy = agents.reduce(0) { $0 + $1.running }
        let running = builds.count { $0.status == .running }
        let queued = builds.count { $0.status == .queued }
        return """
            <div><b>\(ready.count) / \(agents.count)</b><span>agents ready</span></div>
            <div><b>\(busy) / \(slots)</b><span>slots busy</span></div>
            <div><b>\(running)</b><span>builds running</span></div>
            <div><b>\(queued)</b><span>builds queued</span></div>
            <div><b>\(Show.bytes(Show.total(volumes.map(\.bytes))))</b><span>in \(volumes.count) \(volumes.count == 1 ? "volume" : "volumes")</span></div>
            """
    }

    private var agentTable: HTML {
        if agents.isEmpty {
            return "<p class=\"soft\">No agent has joined yet. Start <code>farm-agent</code> with a certificate of this farm.</p>"
        }
        let rows = agents.map { agent -> HTML in
            let labels =
                agent.labels.sorted { $0.key < $1.key }.filter { $0.key != "name" }.map { "\($0.key)=\($0.value)" }
                + agent.emulated.map { "(\($0))" }
            let cpus = agent.cpus > 0 ? "\(ResourceText.cpus(agent.reservedCPUs)) / \(ResourceText.cpus(agent.cpus))" : "–"
            let reserved = agent.reservedMemory > 0 ? ResourceText.memory(agent.reservedMemory) : "0"
            let memory = agent.memory > 0 ? "\(reserved) / \(ResourceText.memory(agent.memory))" : "–"
            return """
                <tr><td class="name">\(agent.name)</td><td>\(Show.status(agent.state.rawValue))\(trouble(of: agent))</td>
                <td class="num">\(agent.running) / \(agent.slots)</td>
                <td class="num wide">\(cpus)</td><td class="num wide">\(memory)</td>
                <td class="num wide">\(agent.onlyHere)</td><td class="num wide">\(agent.freeBytes.map { Show.bytes($0) } ?? "–")</td><td>\(agent.runtime)</td>
                <td class="wide">\(labels.joined(separator: " "))</td><td class="wide">\(agent.address)</td><td class="wide">\(agent.version)</td>
                <td class="num">\(Show.ago(agent.lastSeen, now: now))</td></tr>
                """
        }
        return """
            <div class="scroll"><table><thead><tr><th>Name</th><th>State</th><th class="num">Running</th>
            <th class="num wide">CPUs reserved</th><th class="num wide">Memory reserved</th>
            <th class="num wide">Volumes only here</th><th class="num wide">Free</th><th>Runtime</th>
            <th class="wide">Labels</th><th class="wide">Address</th><th class="wide">Version</th><th class="num">Seen</th></tr></thead>
            <tbody>\(rows)</tbody></table></div>
            """
    }

    private func trouble(of agent: AgentDescription) -> HTML {
        guard let aside = agent.setAside else { return "" }
        let left = aside.until.seconds(since: now)
        let how =
            aside.isOnTrial
            ? "tried with one stage at a time" : left > 0 ? "for another \(Show.duration(left))" : "until it is tried again"
        return "<div class=\"soft\">\(how): \(aside.reason)</div>"
    }

    private var buildTable: HTML {
        if builds.isEmpty { return "<p class=\"soft\">No build yet. <code>farm submit</code> makes the first.</p>" }
        let rows = builds.prefix(Self.buildLimit).map { build -> HTML in
            """
            <tr><td class="id"><a href="/builds/\(build.id)">\(build.id)</a></td><td>\(Show.status(build.status.rawValue))</td>
            <td class="name">\(build.project)</td><td class="num">\(Show.span(from: build.startedAt, to: build.finishedAt, now: now))</td>
            <td class="wide">\(build.image.map { Show.digest($0.digest.description) } ?? "–")</td>
            <td class="num wide">\(Show.ago(build.createdAt, now: now))</td></tr>
            """
        }
        return """
            <div class="scroll"><table><thead><tr><th>Build</th><th>Status</th><th>Project</th><th class="num">Duration</th>
            <th class="wide">Image</th><th class="num wide">Submitted</th></tr></thead><tbody>\(Array(rows))</tbody></table></div>
            """
    }

    private var volumeTable: HTML {
        if volumes.isEmpty { return "<p class=\"soft\">No volume yet. A step with <code>--mount=type=cache</code> makes one.</p>" }
        return VolumeTable(volumes: volumes, now: now).content
    }

    private var imageTable: HTML {
        if images.isEmpty { return "<p class=\"soft\">No base image yet. <code>farm image import NAME FILE</code> brings one.</p>" }
        let rows = images.map { image -> HTML in
            """
            <tr><td class="name">\(image.name)</td><td class="wide">\(image.platform.description)</td><td class="num">\(Show.bytes(image.bytes))</td>
            <td class="num">\(image.layers)</td><td class="num">\(Show.ago(image.importedAt, now: now))</td></tr>
            """
        }
        return """
            <div class="scroll"><table><thead><tr><th>Image</th><th class="wide">Platform</th><th class="num">Size</th><th class="num">Layers</th>
            <th class="num">Imported</th></tr></thead><tbody>\(rows)</tbody></table></div>
            """
    }
}
