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
            var table = Table(["BUILD", "PROJECT", "STATUS", "SUBMITTED", "TIME", "IMAGE"], flexible: 1)
            for build in builds {
                table.append([
                    build.id, build.project, build.status.rawValue, Self.age(build.createdAt),
                    BuildText.duration(build.startedAt, build.finishedAt, now: .now()),
                    build.image.map { String($0.digest.hex.prefix(12)) } ?? "",
                ])
            }
            return table.text(columns: Self.columns)
        }
    }

    /// `farm show`.
    public func show(_ build: String, json: Bool) async throws {
        let columns = Self.columns
        try await print(BuildDescription.self, "/api/v1/builds/\(percentEncoded(build))", json: json) { build in
            BuildText(build: build, now: .now(), columns: columns).text
        }
    }

    /// `farm logs`: the output of the steps; with `follow` until the build has ended. With `step` that step's output alone, as it is.
    public func logs(_ build: String, step: Int?, follow: Bool) async throws {
        try await asking { api in
            var last = 0
            var view = BuildView()
            var reconnection = Reconnection()
            var wasReached = false
            let target = "/api/v1/builds/\(percentEncoded(build))/events?follow=\(follow)"
            events: while true {
                do {
                    let lines = try await api.lines(BuildEvent.self, "GET", target + "&after=\(last)")
                    wasReached = true
                    reconnection.reached()
                    for try await event in lines {
                        reconnection.succeeded()
                        last = event.sequence
                        for change in view.apply(event) {
                            if case .finished = change {
                                // A build that failed before or beside its steps says why nowhere else.
                                if step == nil, view.failed == nil, let failure = view.failure {
                                    Screen.write("ERROR: \(Printable.lines(failure.message).joined(separator: "\n"))\n", to: STDOUT_FILENO)
                                }
                                break events
                            }
                            Self.log(change, of: view, step: step)
                        }
                    }
                    if !follow { break }
                    try await Self.wait(&reconnection, after: nil, build)
                } catch let error where follow && wasReached && ClientError.isTransient(error) {
                    try await Self.wait(&reconnection, after: error, build)
                }
            }
            if let step, !(1...max(1, view.stepCount)).contains(step) {
                throw ClientError.failed(
                    "build \(build) has no step \(step): its plan has \(view.stepCount); 'farm show \(build)' lists them")
            }
        }
    }

    private static func wait(_ reconnection: inout Reconnection, after error: (any Error)?, _ build: String) async throws {
        try await reconnection.wait(after: error, otherwise: "the build \(build) goes on all the same") { Screen.write("farm: \($0)\n") }
    }

    private static func log(_ change: BuildView.Change, of view: BuildView, step: Int?) {
        switch change {
        case .output(let index, let lines):
            let number = view.vertices[index].number
            guard step == nil || number == step else { return }
            Screen.write(lines.map { step == nil ? "#\(number) \($0)\n" : "\($0)\n" }.joined(), to: STDOUT_FILENO)
        case .started(let index) where step == nil:
            Screen.write("#\(view.vertices[index].number) \(view.vertices[index].name)\n", to: STDOUT_FILENO)
        case .ended(let index) where step == nil:
            let vertex = view.vertices[index]
            if vertex.cached { Screen.write("#\(vertex.number) CACHED\n", to: STDOUT_FILENO) }
            guard let error = vertex.error else { return }
            Screen.write("#\(vertex.number) ERROR: \(Printable.lines(error).joined(separator: " "))\n", to: STDOUT_FILENO)
        // What is not a step's output is not mixed with it.
        case .note(let text) where step == nil: Screen.write("# \(Printable.line(text))\n")
        default: break
        }
    }

    /// `farm cancel`.
    public func cancel(_ build: String) async throws {
        try await asking { try await $0.post("/api/v1/builds/\(percentEncoded(build))/cancel", [String: String]()) }
    }

    /// `farm agents`.
    public func agents(json: Bool) async throws {
        try await print([AgentDescription].self, "/api/v1/agents", json: json) { agents in
            var table = Table(["AGENT", "STATE", "STAGES", "CPUS", "MEMORY", "ONLY HERE", "FREE", "PLATFORM", "RUNTIME", "ADDRESS", "SEEN"])
            for agent in agents {
                table.append([
                    agent.name, agent.state.rawValue, "\(agent.running)/\(agent.slots)", Self.cpus(of: agent), Self.memory(of: agent),
                    "\(agent.onlyHere)",
                    agent.freeBytes.map { Human.bytes($0) } ?? "?",
                    Self.platforms(of: agent), agent.runtime, agent.address,
                    Self.age(agent.lastSeen),
                ])
            }
            return table.text(columns: Self.columns) + agents.compactMap { Self.trouble(of: $0, now: .now()) }.joined()
        }
    }

    /// Why an agent gets no stages, or one at a time; nil for the others.
    static func trouble(of agent: AgentDescription, now: Timestamp) -> String? {
        guard let aside = agent.setAside else { return nil }
        let left = aside.until.seconds(since: now)
        let how =
            aside.isOnTrial
            ? "was set aside and gets one stage at a time until it has run one"
            : "is set aside" + (left > 0 ? " for another \(Human.duration(left))" : ", and is tried again soon")
        let hint = aside.isOnTrial ? "" : "; farm resume \(agent.name) gives it stages at once"
        return Printable.line("\(agent.name) \(how): \(aside.reason)\(hint)") + "\n"
    }

    /// `farm drain` and `farm resume`.
    public func setDraining(_ agent: String, _ draining: Bool) async throws {
        try await asking {
            try await $0.post("/api/v1/agents/\(percentEncoded(agent))/\(draining ? "drain" : "resume")", [String: String]())
        }
    }

    /// `farm drain --wait`: returns when nothing runs on the agent and everything that only it had is elsewhere. What is waited for goes to
    /// standard error as it changes.
    public func waitUntilDrained(_ agent: String) async throws {
        var told = ""
        while true {
            let agents = try await asking { try await $0.get([AgentDescription].self, "/api/v1/agents") }
            guard let state = agents.first(where: { $0.name == agent }) else { throw ClientError.failed("there is no agent \(agent)") }
            if state.running == 0, state.onlyHere == 0 { return }
            guard state.state != .ready else { throw ClientError.failed("agent \(agent) was resumed meanwhile") }
            let rest = Self.rest(of: state)
            if rest != told { Screen.write(rest) }
            told = rest
            try await Task.sleep(for: Self.drainInterval)
        }
    }

    /// What an agent that drains still has.
    static func rest(of agent: AgentDescription) -> String {
        let stages = agent.running == 1 ? "1 stage runs" : "\(agent.running) stages run"
        let volumes = agent.onlyHere == 1 ? "1 volume is only there" : "\(agent.onlyHere) volumes are only there"
        return "\(agent.name): \(stages), \(volumes)\n"
    }

    private static let drainInterval = Duration.milliseconds(500)

    /// `farm volumes`.
    public func volumes(json: Bool) async throws {
        try await print([VolumeDescription].self, "/api/v1/volumes", json: json) { volumes in
            var table = Table(["PROJECT", "ID", "PLATFORM", "GENERATION", "SIZE", "NAMES", "USED", "COPIES", "HELD BY"], flexible: 1)
            for volume in volumes {
                table.append([
                    volume.project, volume.id, "\(volume.platform)", "\(volume.generation)", Human.bytes(volume.bytes), "\(volume.files)",
                    volume.inUse ? "in use" : volume.lastUsed.map(Self.age) ?? "?", "\(volume.copies)",
                    Self.holders(of: volume),
                ])
            }
            return table.text(columns: Self.columns)
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
            var table = Table(["IMAGE", "PLATFORM", "SIZE", "LAYERS", "IMPORTED"], flexible: 0)
            for image in images {
                table.append([image.name, "\(image.platform)", Human.bytes(image.bytes), "\(image.layers)", Self.age(image.importedAt)])
            }
            return table.text(columns: Self.columns)
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

    private static func age(_ time: Timestamp) -> String { Human.age(Timestamp.now().seconds(since: time)) }

    private static func holders(of volume: VolumeDescription) -> String {
        if volume.holders.isEmpty { return "nobody" }
        return volume.holders.sorted { ($1.generation, $0.agent) < ($0.generation, $1.agent) }.map { holder in
            let behind = max(0, volume.generation &- holder.generation)
            return behind == 0 ? holder.agent : "\(holder.agent) (\(behind) behind)"
        }.joined(separator: ", ")
    }

    /// Reserved and all; a dash where none can be reserved.
    static func cpus(of agent: AgentDescription) -> String {
        agent.cpus > 0 ? "\(ResourceText.cpus(agent.reservedCPUs))/\(ResourceText.cpus(agent.cpus))" : "-"
    }

    static func memory(of agent: AgentDescription) -> String {
        guard agent.memory > 0 else { return "-" }
        return "\(agent.reservedMemory > 0 ? ResourceText.memory(agent.reservedMemory) : "0")/\(ResourceText.memory(agent.memory))"
    }

    /// Its own, then those that it emulates.
    static func platforms(of agent: AgentDescription) -> String {
        (["\(agent.labels["os"] ?? "?")/\(agent.labels["arch"] ?? "?")"] + agent.emulated.map { "(\($0))" }).joined(separator: " ")
    }

    /// The terminal's width; nil where the output goes elsewhere and nothing may be left out.
    private static var columns: Int? { Screen.size(of: STDOUT_FILENO)?.columns }
}
