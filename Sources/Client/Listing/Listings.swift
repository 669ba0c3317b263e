import BuildPlan
import FarmAPI
import Glibc

/// The commands that ask the coordinator and print: builds, show, logs, agents, volumes, images.
public struct Listings: Sendable {
    private let settings: ClientSettings

    public init(settings: ClientSettings) { self.settings = settings }

    /// `farm builds`: the newest first.
    public func builds(json: Bool) async throws {
        try await print([BuildDescription].self, "/api/v1/builds", json: json) { builds in
            var table = Table(["BUILD", "PROJECT", "STATUS", "CREATED", "TIME", "IMAGE"])
            for build in builds {
                table.append([
                    build.id, build.project, build.status.rawValue, Self.minute(build.createdAt),
                    Self.duration(build.startedAt, build.finishedAt),
                    build.image.map { String($0.digest.hex.prefix(12)) } ?? "",
                ])
            }
            return table.text
        }
    }

    /// `farm show`.
    public func show(_ build: String, json: Bool) async throws {
        try await print(BuildDescription.self, "/api/v1/builds/\(percentEncoded(build))", json: json) { build in
            var text =
                "build    \(build.id)\nproject  \(Printable.line(build.project))\nstatus   \(build.status.rawValue)\ncreated  \(build.createdAt)\n"
            if let image = build.image { text += "image    \(image.digest)\n" }
            if let error = build.error { text += "error    \(Printable.line(error))\n" }
            for stage in build.stages {
                let place = stage.agent.map { " on \($0)" } ?? ""
                text += "\n\(Printable.line(stage.name)): \(stage.status.rawValue)\(place)"
                text += stage.attempts > 1 ? ", attempt \(stage.attempts)\n" : "\n"
                if let placement = stage.placement { text += "  placed: \(Printable.line(placement))\n" }
                var table = Table(["  STEP", "STATUS", "TIME", "RECEIVED"])
                for step in stage.steps {
                    let received = step.bytes.layers + step.bytes.context + step.bytes.volumes
                    table.append([
                        "  " + step.name, step.cached ? "cached" : step.status.rawValue, Self.duration(step.startedAt, step.finishedAt),
                        received > 0
                            ? "layers \(Human.bytes(step.bytes.layers)), context \(Human.bytes(step.bytes.context)), volumes \(Human.bytes(step.bytes.volumes))"
                            : "",
                    ])
                }
                text += table.text
            }
            return text
        }
    }

    /// `farm logs`: the output of the steps as it was; with `follow` until the build has ended.
    public func logs(_ build: String, step: Int?, follow: Bool) async throws {
        try await asking { api in
            var last = 0
            var view = BuildView()
            let target = "/api/v1/builds/\(percentEncoded(build))/events?follow=\(follow)"
            while true {
                do {
                    for try await event in try await api.lines(BuildEvent.self, "GET", target + "&after=\(last)") {
                        last = event.sequence
                        for change in view.apply(event) {
                            switch change {
                            case .output(let vertex, let lines) where step == nil || view.vertices[vertex].number == step:
                                Screen.write(lines.map { "#\(view.vertices[vertex].number) \($0)\n" }.joined(), to: STDOUT_FILENO)
                            case .started(let vertex) where step == nil:
                                Screen.write("#\(view.vertices[vertex].number) \(view.vertices[vertex].name)\n", to: STDOUT_FILENO)
                            case .finished: return
                            default: break
                            }
                        }
                    }
                    if !follow { return }
                } catch let error where follow && last > 0 && ClientError.isTransient(error) {
                }
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    /// `farm cancel`.
    public func cancel(_ build: String) async throws {
        try await asking { try await $0.post("/api/v1/builds/\(percentEncoded(build))/cancel", [String: String]()) }
    }

    /// `farm agents`.
    public func agents(json: Bool) async throws {
        try await print([AgentDescription].self, "/api/v1/agents", json: json) { agents in
            var table = Table(["AGENT", "STATE", "STAGES", "PLATFORM", "RUNTIME", "ADDRESS", "LAST SEEN"])
            for agent in agents {
                table.append([
                    agent.name, agent.state.rawValue, "\(agent.running)/\(agent.slots)",
                    "\(agent.labels["os"] ?? "?")/\(agent.labels["arch"] ?? "?")", agent.runtime, agent.address,
                    Self.minute(agent.lastSeen),
                ])
            }
            return table.text
        }
    }

    /// `farm drain` and `farm resume`.
    public func setDraining(_ agent: String, _ draining: Bool) async throws {
        try await asking {
            try await $0.post("/api/v1/agents/\(percentEncoded(agent))/\(draining ? "drain" : "resume")", [String: String]())
        }
    }

    /// `farm volumes`.
    public func volumes(json: Bool) async throws {
        try await print([VolumeDescription].self, "/api/v1/volumes", json: json) { volumes in
            var table = Table(["PROJECT", "ID", "PLATFORM", "GENERATION", "SIZE", "FILES", "HOLDERS"])
            for volume in volumes {
                table.append([
                    volume.project, volume.id, "\(volume.platform)", "\(volume.generation)", Human.bytes(volume.bytes), "\(volume.files)",
                    volume.holders.map { "\($0.agent)@\($0.generation)" }.joined(separator: " "),
                ])
            }
            return table.text
        }
    }

    /// `farm volumes rm`.
    public func removeVolume(project: String, id: String) async throws {
        let target = "/api/v1/volumes?project=\(percentEncoded(project))&id=\(percentEncoded(id))"
        try await asking { _ = try await $0.send("DELETE", target).body.collect(upTo: APIClient.answerLimit) }
    }

    /// `farm image list`.
    public func images(json: Bool) async throws {
        try await print([ImageDescription].self, "/api/v1/images", json: json) { images in
            var table = Table(["IMAGE", "PLATFORM", "SIZE", "LAYERS", "IMPORTED"])
            for image in images {
                table.append([image.name, "\(image.platform)", Human.bytes(image.bytes), "\(image.layers)", Self.minute(image.importedAt)])
            }
            return table.text
        }
    }

    /// `farm image rm`.
    public func removeImage(_ name: String) async throws {
        try await asking {
            _ = try await $0.send("DELETE", "/api/v1/images?name=\(percentEncoded(name))").body.collect(upTo: APIClient.answerLimit)
        }
    }

    // MARK: Inside

    private func print<Answer: Codable & Sendable>(
        _ type: Answer.Type, _ target: String, json: Bool, _ format: @escaping @Sendable (Answer) -> String
    ) async throws {
        try await asking { api in
            let answer = try await api.get(type, target)
            let text = json ? String(decoding: try FarmJSON.encodePretty(answer), as: UTF8.self) + "\n" : format(answer)
            Screen.write(text, to: STDOUT_FILENO)
        }
    }

    func asking<R: Sendable>(_ body: @Sendable (APIClient) async throws -> R) async throws -> R {
        let connection = Connection(settings)
        defer { connection.closeSoon() }
        do {
            return try await body(connection.api)
        } catch {
            throw ClientError(error, coordinator: connection.address)
        }
    }

    /// `2026-11-21 13:05`, in UTC.
    private static func minute(_ time: Timestamp) -> String {
        let text = time.description
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(5))"
    }

    private static func duration(_ start: Timestamp?, _ end: Timestamp?) -> String {
        guard let start else { return "" }
        return Human.duration(max(0, (end ?? .now()).seconds(since: start)))
    }
}
