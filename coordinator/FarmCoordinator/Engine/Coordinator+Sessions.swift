import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

// Agents come, say what they have, live and go.
extension Coordinator {
    /// The agent's session: the stream of its commands. A new session ends the one before. When the stream's consumer goes away, the
    /// session is closed; the agent's stages stay leased to it until the lease ends.
    public func openSession(of agent: String, _ hello: AgentHello) async throws -> AsyncStream<AgentCommand> {
        let before = agentEntries[agent]
        var entry =
            before
            ?? AgentEntry(
                stored: StoredAgent(name: agent, hello: hello, drained: false, lastSeen: clock.now(), report: 0), session: nil, lastHeard: 0
            )
        entry.session?.commands.finish()
        copies.forget(agent: agent)
        let isRestarted = entry.stored.epoch != hello.epoch
        entry.stored = StoredAgent(
            name: agent, hello: hello, drained: entry.stored.drained, lastSeen: clock.now(),
            report: isRestarted ? 0 : entry.stored.report)
        entry.stored.setAside = before?.stored.setAside
        // Its mounts ended with it.
        if isRestarted { formerLocks = formerLocks.filter { $0.value.agent != agent } }
        // The contract says that every agent has it.
        entry.stored.labels["name"] = agent
        entry.platform = AgentEntry.platform(of: hello.labels)
        entry.stored.slots = min(max(1, hello.slots), AgentProfile.maximumSlots)
        entry.stored.resources = hello.resources.bounded
        entry.lastHeard = clock.monotonic()
        entry.isLost = false
        let (stream, commands) = AsyncStream.makeStream(of: AgentCommand.self)
        let number = newNumber()
        entry.session = AgentEntry.Session(number: number, commands: commands)
        commands.onTermination = { [weak self] _ in self?.enqueue(.closeSession(agent: agent, number: number)) }
        agentEntries[agent] = entry
        profile(agent)
        outbox.append(.put(entry.stored))
        replaceHoldings(of: agent, layers: hello.layers, volumes: hello.volumes)
        // The first line, before anything that a task that settles meanwhile may deliver.
        commands.yield(.welcome(grantKey: grants.publicKey, heartbeat: settings.heartbeat))
        reconcile(agent, running: Set(hello.assignments), isRestarted: isRestarted, wasLost: before?.isLost ?? false)
        resumeVerifications(of: agent, isRestarted: isRestarted)
        logger.info(
            "an agent has joined",
            metadata: ["agent": "\(agent)", "slots": "\(entry.stored.slots)", "runtime": "\(hello.runtime)", "restarted": "\(isRestarted)"])
        wakeAll()
        schedule()
        try await settle()
        return stream
    }

    /// Throws where another process of the agent's name is here and alive: two would take the name from each other without end, and with
    /// it their stages. One that was killed has lost its connection at once, or is silent for a few heartbeats.
    public func refuseRival(of agent: String, epoch: String) throws {
        guard let entry = agentEntries[agent], entry.session != nil, entry.stored.epoch != epoch else { return }
        guard clock.monotonic() - entry.lastHeard <= Self.rivalSilence * settings.heartbeat else { return }
        logger.warning(
            "a second process says that it is this agent, and is refused",
            metadata: ["agent": "\(agent)", "address": "\(entry.stored.address)"])
        throw EngineError.conflict(
            "another process is agent '\(agent)' already, at \(entry.stored.address); end it, or enroll this one by a name of its own")
    }

    /// In heartbeats: an agent that is alive is never silent for so long.
    static let rivalSilence = 3.0

    func closeSession(of agent: String, number: Int) {
        guard agentEntries[agent]?.session?.number == number else { return }
        agentEntries[agent]?.session = nil
        profile(agent)
        copies.forget(agent: agent)
        noteLostExports(of: agent)
        logger.info("an agent's session has ended", metadata: ["agent": "\(agent)"])
    }

    /// So often a stage that an agent never got counts as no attempt: a connection breaks in just that moment once, or when the coordinator
    /// is started again. More often it is that way which is broken: then attempts count, and others are asked.
    static let undeliveredLimit = 5

    /// Whether that the agent did not get it is nobody's failure.
    private func excuse(_ assignment: AssignmentEntry) -> Bool {
        let stage = assignment.stored.stage
        guard let run = builds[assignment.stored.build], run.stages.indices.contains(stage) else { return true }
        run.stages[stage].undelivered += 1
        guard run.stages[stage].undelivered <= Self.undeliveredLimit else { return false }
        run.stages[stage].row.excused += 1
        return true
    }

    /// Renews the leases of what the agent runs; tells it to cancel what is not its any more.
    public func heartbeat(_ heartbeat: Heartbeat, from agent: String) async throws {
        guard let entry = agentEntries[agent], entry.stored.epoch == heartbeat.epoch else {
            throw EngineError.conflict("the coordinator does not know this process of \(agent): open a session")
        }
        heard(from: agent)
        agentEntries[agent]?.freeBytes = heartbeat.freeBytes
        takeTransfers(heartbeat.transfers ?? [], of: agent)
        let now = clock.monotonic()
        for id in heartbeat.running {
            if let assignment = assignments[id], assignment.stored.agent == agent {
                assignments[id]?.confirmed = now
                assignments[id]?.sent = true
                if assignment.isCancelling { send(.cancel(assignment: id), to: agent) }
            } else {
                send(.cancel(assignment: id), to: agent)
            }
        }
        try await settle()
    }

    /// What has come to or gone from the agent's disk.
    public func holdingsChanged(_ change: HoldingsChange, of agent: String) async throws {
        guard agentEntries[agent] != nil else { throw EngineError.conflict("\(agent) has no session") }
        heard(from: agent)
        for layer in change.addedLayers { hold(layer, agent) }
        for layer in change.removedLayers { drop(layer: layer, agent) }
        for held in change.volumes { hold(held, agent) }
        for key in change.removedVolumes { drop(volume: key, agent) }
        if !change.removedLayers.isEmpty { wakeAll() }
        try await settle()
    }

    /// What agents judge the grants by that they are shown.
    public func wallClock() -> Timestamp { clock.now() }

    /// The agent lives.
    func heard(from agent: String) {
        agentEntries[agent]?.lastHeard = clock.monotonic()
        agentEntries[agent]?.stored.lastSeen = clock.now()
    }

    func isReachable(_ agent: AgentEntry) -> Bool { clock.monotonic() - agent.lastHeard <= settings.lease }

    /// Something that any build may wait for has changed.
    func wakeAll() { for run in builds.values { run.wake() } }

    private func reconcile(_ agent: String, running: Set<String>, isRestarted: Bool, wasLost: Bool) {
        let now = clock.monotonic()
        for id in running.sorted() {
            if let assignment = assignments[id], assignment.stored.agent == agent, !assignment.isCancelling {
                assignments[id]?.confirmed = now
                assignments[id]?.sent = true
                assignments[id]?.command = nil
            } else {
                send(.cancel(assignment: id), to: agent)
            }
        }
        var lostStages = 0
        for (id, assignment) in assignments.sorted(by: { $0.key < $1.key }) where assignment.stored.agent == agent && !running.contains(id)
        {
            if let command = assignment.command, !assignment.sent, !assignment.isCancelling {
                assignments[id]?.confirmed = now
                assignments[id]?.stored.epoch = agentEntries[agent]?.stored.epoch ?? ""
                send(.assign(command), to: agent)
            } else if isRestarted {
                lostStages += 1
                retry(id, reason: "\(agent) was restarted", avoiding: false)
            } else {
                // It runs it not, and has nothing to say of it that is not stored: it never got it.
                retry(id, reason: "\(agent) did not get it", avoiding: !excuse(assignment))
            }
        }
        // What was lost was counted then.
        if lostStages > 0, !wasLost {
            blame(agent, for: nil, reason: "it was restarted with \(lostStages) \(lostStages == 1 ? "stage" : "stages") running")
        }
    }
}
