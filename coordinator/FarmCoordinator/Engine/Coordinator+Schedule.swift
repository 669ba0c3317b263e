import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

// Which agent gets which stage.
extension Coordinator {
    /// Gives ready stages to agents, in the order of fair shares. The caller settles.
    func schedule() {
        // Stages that came to share a step with another that was placed a moment before leave their slots to the next.
        while !carryOut(scheduler.decide(clock.monotonic())) {}
    }

    /// False where not all could be: what was decided for stages that are not ready any more is void.
    private func carryOut(_ decisions: [(stage: String, decision: Decision)]) -> Bool {
        var isWhole = true
        for (id, decision) in decisions {
            guard let (run, stage) = self.stage(id), run.isOpen, case .ready(let ready) = run.stages[stage].state else {
                scheduler.withdraw(id)
                isWhole = false
                continue
            }
            switch decision {
            case .place(let placement): assign(stage, of: run, ready, placement)
            case .wait(let placement): noteWaiting(stage, of: run, placement)
            case .unschedulable(let reason, let mayChange):
                noteUnschedulable(stage, of: run, ready.demand, reason: reason, mayChange: mayChange)
            }
        }
        return isWhole
    }

    /// Tells the scheduler which of the build's stages could run now, and which could not any more.
    func offer(_ run: BuildRun) {
        for (number, stage) in run.stages.enumerated() {
            let id = Self.stageID(run, number)
            if run.isOpen, case .ready(let ready) = stage.state, !(ready.readsContext && run.lacksContents) {
                scheduler.submit(ready.demand)
            } else if stage.assignment == nil {
                scheduler.withdraw(id)
            }
        }
    }

    /// Tells the scheduler what the agent is now.
    func profile(_ name: String) {
        guard let agent = agentEntries[name] else { return scheduler.remove(agent: name) }
        var profile = AgentProfile(
            name: name, labels: agent.stored.labels, platforms: agent.platform.map { [$0] } ?? [],
            emulated: agent.stored.resources.emulated, slots: agent.stored.slots, cpus: agent.stored.resources.cpus,
            memory: agent.stored.resources.memory)
        profile.stageCPUs = agent.stored.resources.stepCPUs
        profile.stageMemory = agent.stored.resources.stepMemory
        profile.withoutLimits = agent.stored.resources.withoutLimits
        profile.hostPaths = agent.stored.hostPaths
        profile.condition = condition(of: agent)
        // On trial: one stage is enough to see.
        if agent.stored.setAside?.isOnTrial == true { profile.slots = 1 }
        scheduler.put(profile)
    }

    private func condition(of agent: AgentEntry) -> AgentCondition {
        if !isReachable(agent) || agent.session == nil { return .lost }
        if agent.stored.drained { return .draining }
        guard let aside = agent.stored.setAside, !aside.isOnTrial else { return .ready }
        return .setAside(aside.reason)
    }

    /// An assignment from before a restart: the agent has it, or it will be retried.
    func adopt(_ entry: AssignmentEntry, since start: Double) {
        guard let run = builds[entry.stored.build], run.stages.indices.contains(entry.stored.stage) else { return }
        scheduler.adopt(demand(of: entry.stored.stage, run), on: entry.stored.agent, since: start)
    }

    /// What any assignment of the stage asks for, whatever is cached of it.
    func demand(of number: Int, _ run: BuildRun) -> StageDemand {
        let options = run.stored.request.options
        var demand = StageDemand(id: Self.stageID(run, number), owner: owner(of: run), platform: run.stored.platform)
        let usual = usualDuration(of: run.stages[number].plan, run)
        demand.usualDuration = usual?.mean
        demand.usualDeviation = usual?.deviation
        demand.require = options.require
        demand.prefer = options.prefer ?? [:]
        demand.cpus = options.cpus ?? 0
        demand.memory = options.memory ?? 0
        return demand
    }

    /// A stage's name with the scheduler.
    static func stageID(_ run: BuildRun, _ number: Int) -> String { "\(run.id)-\(number)" }

    private func stage(_ id: String) -> (BuildRun, Int)? {
        guard let dash = id.lastIndex(of: "-"), let run = builds[String(id[..<dash])], let number = Int(id[id.index(after: dash)...]),
            run.stages.indices.contains(number)
        else { return nil }
        return (run, number)
    }

    func owner(of run: BuildRun) -> StageOwner {
        StageOwner(
            project: run.stored.request.project, user: run.stored.user, build: run.id,
            priority: run.stored.request.options.priority ?? 0)
    }

    func usualDuration(of stage: Stage, _ run: BuildRun) -> StoredDuration? {
        durations[DurationKey(project: run.stored.request.project, stage: stage.name)]
    }

    private func assign(_ number: Int, of run: BuildRun, _ ready: StageRun.Ready, _ placement: Placement) {
        guard let agent = agentEntries[placement.agent], let resolved = run.stored.plan else {
            return scheduler.withdraw(Self.stageID(run, number))
        }
        run.stages[number].row.attempts += 1
        let stage = run.stages[number]
        let options = run.stored.request.options
        let stored = StoredAssignment(
            id: "\(run.id)-\(number)-\(stage.row.attempts)", build: run.id, stage: number, agent: agent.name, epoch: agent.stored.epoch,
            attempt: stage.row.attempts, firstStep: ready.firstStep)
        let command = StageAssignment(
            id: stored.id, build: run.id, project: run.stored.request.project, stage: number, stageName: stage.plan.name,
            attempt: stored.attempt, platform: resolved.plan.platform, base: ready.base, steps: stage.plan.steps,
            firstStep: ready.firstStep, contextRoot: run.stored.request.contextRoot, filesBelow: ready.files, sources: ready.sources,
            options: options,
            noCache: isUncached(stage.plan, options))
        let now = clock.monotonic()
        assignments[stored.id] = AssignmentEntry(stored: stored, confirmed: now, startedAt: now, sent: false, command: command)
        run.stages[number].state = .assigned(stored.id)
        run.stages[number].unschedulable = nil
        run.stages[number].row.agent = agent.name
        run.stages[number].row.status = .running
        run.stages[number].row.placement = placement.reason
        run.stages[number].row.decision = decision(.placed, of: number, run, placement)
        claims.leave(build: run.id, stage: number)
        claim(ready.names, by: stored.id)
        outbox.append(.insert(stored))
        save(number, of: run)
        emit(.stageStarted(stage: number, agent: agent.name, attempt: stored.attempt), run)
        send(.assign(command), to: agent.name)
    }

    private func decision(
        _ outcome: PlacementDecision.Outcome, of number: Int, _ run: BuildRun, _ placement: Placement
    ) -> PlacementDecision {
        PlacementDecision(
            outcome: outcome, time: clock.now(), agent: placement.agent,
            candidates: placement.candidates.map { PlacementDecision.Candidate($0) }, compared: placement.compared,
            usual: usualDuration(of: run.stages[number].plan, run).map { PlacementDecision.Usual($0) })
    }

    private func noteWaiting(_ number: Int, of run: BuildRun, _ placement: Placement) {
        run.stages[number].unschedulable = nil
        run.stages[number].row.placement = "waits for \(placement.reason)"
        run.stages[number].row.decision = decision(.waiting, of: number, run, placement)
        save(number, of: run)
    }

    private func noteUnschedulable(_ number: Int, of run: BuildRun, _ demand: StageDemand, reason: String, mayChange: Bool) {
        let since = run.stages[number].unschedulable?.since
        run.stages[number].unschedulable = StageRun.Unschedulable(since: since ?? clock.monotonic(), reason: reason, mayChange: mayChange)
        run.stages[number].row.placement = "waits: \(reason)"
        run.stages[number].row.decision = PlacementDecision(
            outcome: .unplaceable, time: clock.now(), reason: reason,
            objections: scheduler.objections(to: demand).map { PlacementDecision.Objection(agent: $0.agent, reason: $0.reason) })
        save(number, of: run)
        if mayChange { tryAgents(for: demand) }
        if since == nil { emit(.warning(text: "stage \(run.stages[number].plan.name) waits: \(reason)"), run) }
    }

    /// Ends builds whose stages no agent could take for too long.
    func expireUnschedulable() {
        let now = clock.monotonic()
        for run in builds.values {
            for number in run.stages.indices {
                guard let unschedulable = run.stages[number].unschedulable else { continue }
                guard scheduler.isBlocked(Self.stageID(run, number)) else {
                    run.stages[number].unschedulable = nil
                    continue
                }
                let limit = unschedulable.mayChange ? settings.lostAgentsTimeout : settings.unschedulableTimeout
                guard now - unschedulable.since > limit else { continue }
                finish(
                    run, .failed,
                    failure: BuildFailure(
                        message: "stage \(run.stages[number].plan.name) can't be placed: \(unschedulable.reason)"))
                break
            }
        }
    }
}

extension PlacementDecision.Candidate {
    init(_ candidate: Candidate) {
        var bytes = ReceivedBytes()
        bytes.layers = candidate.layerBytes
        bytes.context = candidate.contextBytes
        bytes.volumes = candidate.volumeBytes
        self.init(
            agent: candidate.agent, queue: candidate.queue, transfer: candidate.transfer, run: candidate.run,
            adjustment: candidate.penalty + candidate.copying, bytes: bytes)
    }
}

extension PlacementDecision.Usual {
    init(_ duration: StoredDuration) {
        self.init(runs: duration.count, mean: duration.mean, deviation: max(0, duration.variance).squareRoot())
    }
}
