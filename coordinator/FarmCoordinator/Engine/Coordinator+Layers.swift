import BuildPlan
import Digests
import FarmAPI
import Store

extension Coordinator {
    /// An answer names at most so many agents for one object: more would not be asked.
    static let maximumHolders = 8
    /// A question may be about so many layers: images have at most a few hundred.
    static let maximumLayers = 4096

    /// The record of a key, if its layer can be had.
    public func record(_ query: RecordQuery, from agent: String) async throws -> RecordAnswer {
        let entry = try leased(query.assignment, to: agent)
        guard let record = try await storedRecord(query.key), isAvailable(record.layer) else { return try noRecord(query, from: agent) }
        // It may have been reported a moment ago and not be on the disk yet.
        try await settle()
        // What comes next starts from the state of the repository that the layer has: that must be known here.
        if let files = record.files, files != builds[entry.stored.build]?.stored.request.contextRoot, try await !contexts.hasTree(files) {
            return try noRecord(query, from: agent)
        }
        return RecordAnswer(layer: record.layer, created: record.createdAt, files: record.files)
    }

    /// The agent makes the step, unless another makes it already.
    private func noRecord(_ query: RecordQuery, from agent: String) throws -> RecordAnswer {
        let entry = try leased(query.assignment, to: agent)
        var answer = RecordAnswer(layer: nil, created: nil)
        guard let run = builds[entry.stored.build], let step = currentStep(of: entry, run) else { return answer }
        let operation = run.stages[entry.stored.stage].plan.steps[step].operation
        let names = names(of: query.key, operation, run)
        answer.isMade = claims.maker(of: names).map { $0 != query.assignment } ?? false
        if !answer.isMade { claim(names, by: query.assignment) }
        return answer
    }

    /// Who has these layers, with grants for the asking agent.
    public func locate(_ query: LayerQuery, from agent: String) async throws -> LayerLocations {
        guard exports[query.purpose] == agent || (try? leased(query.purpose, to: agent)) != nil else {
            throw EngineError.conflict("\(query.purpose) is not a task of \(agent)")
        }
        guard query.layers.count <= Self.maximumLayers else { throw EngineError.invalid("at most \(Self.maximumLayers) layers at a time") }
        return LayerLocations(
            locations: try query.layers.map { layer in
                let names = (layerHolders[layer] ?? []).subtracting([agent])
                return LayerLocations.Location(
                    layer: layer, holders: try holders(names, of: Grant.object(of: layer), for: agent),
                    atCoordinator: layersAtCoordinator.contains(layer))
            })
    }

    /// An image was imported or removed.
    public func imagesChanged() async throws {
        layersAtCoordinator = try await images.layersAtCoordinator()
        wakeAll()
    }

    /// Sends an agent that has most of the image's layers the order to make an archive.
    /// - Parameters:
    ///   - id: chosen by the caller, who takes the archive under it and calls ``exportEnded(_:)``.
    ///   - name: of several images; nil for the target.
    ///   - tried: agents that could not.
    /// - Returns: the agent's name.
    /// - Throws: ``EngineError/conflict(_:)`` when the build has no image, ``EngineError/unavailable(_:)`` when no agent is there or a
    ///   layer can't be had any more.
    public func orderExport(
        id: String, build: String, image name: String? = nil, type: ExportType, tags: [String], besides tried: Set<String> = []
    ) async throws -> String {
        let stored = try await storedBuild(build)
        let image = try Self.image(name, of: stored)
        if let gone = image.layers.first(where: { !isAvailable($0) }) {
            throw EngineError.unavailable("layer \(gone.diffID) of build \(stored.id) is not in the farm any more: submit the build again")
        }
        let able = agentEntries.values.filter { $0.session != nil && isReachable($0) && !tried.contains($0.name) }
        func missing(_ agent: AgentEntry) -> Int64 {
            image.layers.reduce(0) { agent.layers.contains($1.diffID) ? $0 : $0 &+ $1.size }
        }
        let best = able.min { a, b in
            (missing(a), a.stored.drained ? 1 : 0, running(on: a.name), a.name) < (
                missing(b), b.stored.drained ? 1 : 0, running(on: b.name), b.name
            )
        }
        guard let best else { throw EngineError.unavailable("no agent is connected that could make the archive") }
        exports[id] = best.name
        exportBell.open(id, last: 0)
        send(
            .export(ExportOrder(id: id, type: type, layers: image.layers, config: image.config, manifest: image.manifest, tags: tags)),
            to: best.name)
        try await settle()
        return best.name
    }

    private static func image(_ name: String?, of build: StoredBuild) throws -> StoredResult {
        guard let target = build.image else {
            throw EngineError.conflict("build \(build.id) has no image: it is \(build.status.rawValue)")
        }
        guard let name else { return target }
        if let image = build.images?[name] { return image }
        let names = (build.images ?? [:]).keys.sorted().map { "'\($0)'" }
        throw EngineError.notFound(
            "build \(build.id) has no image '\(name)': "
                + (names.isEmpty ? "it made one image, which has no name" : "it made \(names.joined(separator: ", "))"))
    }

    /// The archive has arrived or has failed: the agent may not ask for its layers any more.
    public func exportEnded(_ id: String) async {
        exports[id] = nil
        exportBell.close(id)
    }

    /// Returns when the agent that makes the archive is gone, the export has ended, or the task is cancelled.
    public func exporterLost(_ id: String) async { await exportBell.wait(for: id, after: 0) }

    func noteLostExports(of agent: String) {
        for (id, exporter) in exports where exporter == agent { exportBell.ring(id, last: 1) }
    }

    /// Stages that the agent has.
    func running(on agent: String) -> Int { assignments.values.count { $0.stored.agent == agent } }

    /// The assignment, which must be the agent's and not be cancelled.
    func leased(_ id: String, to agent: String) throws -> AssignmentEntry {
        guard let entry = assignments[id], entry.stored.agent == agent, !entry.isCancelling else {
            throw EngineError.conflict("assignment \(id) is not \(agent)'s any more: cancel it")
        }
        return entry
    }

    /// An agent that gives so many times less than the best is asked after the others, however little it has to do.
    private static let slow = 4.0

    /// Agents to fetch from: those from which it is slow last, the least busy first; those that are lost are left out.
    func holders(
        _ names: some Sequence<String>, of object: String, for agent: String, generation: (AgentEntry) -> Int? = { _ in nil }
    ) throws -> [Holder] {
        let entries = names.compactMap { agentEntries[$0] }.filter { isReachable($0) }
        let rates = entries.compactMap { entry in scheduler.measuredBandwidth(from: entry.name, to: agent).map { (entry.name, $0) } }
        let best = rates.map(\.1).max() ?? 0
        let slow = Set(rates.filter { $0.1 * Self.slow < best }.map(\.0))
        let ordered = entries.sorted { a, b in
            (-(generation(a) ?? 0), slow.contains(a.name) ? 1 : 0, running(on: a.name), a.name)
                < (-(generation(b) ?? 0), slow.contains(b.name) ? 1 : 0, running(on: b.name), b.name)
        }
        guard !ordered.isEmpty else { return [] }
        var expires = clock.now()
        expires.nanoseconds += Int64(settings.grantLifetime * 1e9)
        // The grant names who fetches and what, not from whom: one signature serves.
        let grant = try grants.sign(Grant(subject: agent, object: object, expires: expires))
        return ordered.prefix(Self.maximumHolders).map {
            Holder(agent: $0.name, address: $0.stored.address, grant: grant, generation: generation($0))
        }
    }
}
