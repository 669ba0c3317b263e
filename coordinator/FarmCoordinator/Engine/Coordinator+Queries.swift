import BuildPlan
import FarmAPI
import Store

extension Coordinator {
    /// The build's events with a sequence above `after`, those to come too; ends after `finished`. A slow reader costs no memory.
    /// - Throws: ``EngineError/notFound(_:)``; ``EngineError/conflict(_:)`` where the reader knows more than there is.
    public func events(of build: String, after: Int) async throws -> BuildEvents {
        let id = try await storedBuild(build).id
        if after > 0 {
            let stored = try await store.lastEvent(of: id)
            let last = max(stored, builds[id]?.sequence ?? 0)
            guard after <= last else {
                throw EngineError.conflict(
                    "build \(id) has \(last) events here, and you have seen \(after): the farm was restored from an older backup. "
                        + "`farm show \(id)` tells how the build stands; submit it again if it failed")
            }
        }
        return BuildEvents(build: id, after: after, store: store, bell: bell, tails: tails)
    }

    /// `farm show`. A prefix of an id that is unique will do.
    public func describe(_ build: String) async throws -> BuildDescription {
        let stored = try await storedBuild(build)
        let (stages, steps) = try await store.stages(of: stored.id)
        var description = BuildDescription(stored)
        description.stages = stages.map { stage in
            var shown = BuildDescription.Stage(
                name: stage.name, agent: stage.agent, status: stage.status, attempts: stage.attempts,
                placement: stage.placement ?? turn(of: stage),
                steps: steps.filter { $0.stage == stage.number }.map(BuildDescription.Step.init))
            shown.decision = stage.decision
            return shown
        }
        return description
    }

    // Of a stage that has not been compared with any agent.
    private func turn(of stage: StoredStage) -> String? {
        guard scheduler.isQueued("\(stage.build)-\(stage.number)") else { return nil }
        return "waits for its turn: no agent has a free slot, or the project is at its limit; \(scheduler.waiting) stages wait"
    }

    /// The newest builds first, without their stages.
    public func builds(limit: Int) async throws -> [BuildDescription] {
        try await store.builds(limit: max(0, limit)).map(BuildDescription.init)
    }

    /// All agents that have ever joined, by name.
    public func agents() async -> [AgentDescription] {
        let copies = safeCopies()
        return agentEntries.values.sorted { $0.name < $1.name }.map { agent in
            let isConnected = isReachable(agent) && agent.session != nil
            var description = AgentDescription(
                name: agent.name,
                state: !isConnected ? .lost : agent.stored.drained ? .draining : troubles.isSetAside(agent.name) ? .setAside : .ready,
                labels: agent.stored.labels,
                slots: agent.stored.slots, running: running(on: agent.name), address: agent.stored.address, runtime: agent.stored.runtime,
                version: agent.stored.version, lastSeen: agent.stored.lastSeen)
            description.onlyHere = onlyHere(agent, copies)
            description.freeBytes = agent.freeBytes
            description.setAside = setAside(agent)
            description.receives = receives(agent.name)
            description.cpus = agent.stored.resources.cpus
            description.memory = agent.stored.resources.memory
            (description.reservedCPUs, description.reservedMemory) = scheduler.reserved(on: agent.name)
            description.emulated = agent.stored.resources.emulated
            return description
        }
    }

    /// No new stages for the agent; those that run there end, and heads that only it has are copied to others.
    public func drain(_ agent: String) async throws { try await setDrained(agent, true) }

    /// New stages again, also for one that was set aside.
    public func resume(_ agent: String) async throws {
        forgetTroubles(of: agent)
        try await setDrained(agent, false)
    }

    private func setDrained(_ agent: String, _ drained: Bool) async throws {
        guard var entry = agentEntries[agent] else { throw EngineError.notFound("there is no agent \(agent)") }
        entry.stored.drained = drained
        agentEntries[agent] = entry
        profile(agent)
        outbox.append(.put(entry.stored))
        for key in entry.volumes.keys { copies.suspect(key) }
        planCopies()
        schedule()
        try await settle(patiently: false)
    }

    /// The build by its id or a prefix that is unique.
    func storedBuild(_ id: String) async throws -> StoredBuild {
        if let build = try await store.build(id) { return build }
        let found = id.isEmpty ? [] : try await store.builds(prefix: id)
        guard found.count < 2 else { throw EngineError.invalid("several builds begin with \(id): type more of it") }
        guard let only = found.first, let build = try await store.build(only) else {
            throw EngineError.notFound("there is no build \(id)")
        }
        return build
    }
}

extension BuildDescription {
    init(_ stored: StoredBuild) {
        self.init(id: stored.id, project: stored.request.project, status: stored.status, createdAt: stored.createdAt)
        startedAt = stored.startedAt
        finishedAt = stored.finishedAt
        let options = stored.request.options
        platform = stored.platform
        priority = options.priority ?? 0
        cpus = options.cpus
        memory = options.memory
        require = options.require.isEmpty ? nil : options.require
        prefer = options.prefer?.isEmpty == false ? options.prefer : nil
        error = stored.failure?.message
        image = stored.image.map { Image($0) }
        images = stored.images?.mapValues { Image($0) }
    }
}

extension BuildDescription.Image {
    init(_ stored: StoredResult) { self.init(digest: stored.digest, configDigest: stored.configDigest) }
}

extension BuildDescription.Step {
    init(_ stored: StoredStep) {
        self.init(name: stored.name, status: stored.status)
        cached = stored.cached
        startedAt = stored.startedAt
        finishedAt = stored.finishedAt
        exitCode = stored.exitCode
        bytes = stored.bytes
    }
}
