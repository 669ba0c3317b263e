import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

// Which agent gets which stage.
extension Coordinator {
    /// A stage that has run longer than usual is expected to go on for this part of the time that it has run.
    static let overdueShare = 0.25

    /// Gives ready stages to agents, the oldest build's first. The caller settles.
    func schedule() {
        var waiting: [(run: BuildRun, stage: Int, ready: StageRun.Ready)] = []
        for run in builds.values.sorted(by: { ($0.stored.createdAt, $0.id) < ($1.stored.createdAt, $1.id) }) {
            for (number, stage) in run.stages.enumerated() {
                guard case .ready(let ready) = stage.state else { continue }
                if ready.readsContext, case .missing = run.contents { continue }
                waiting.append((run, number, ready))
            }
        }
        guard !waiting.isEmpty else { return }
        var scheduler = Scheduler(agents: snapshots(volumes: Set(waiting.flatMap { $0.ready.demand.volumes.map(\.name) })))
        for (run, stage, ready) in waiting where run.isOpen {
            switch scheduler.decide(ready.demand) {
            case .place(let placement): assign(stage, of: run, ready, placement)
            case .wait: run.stages[stage].unschedulableSince = nil
            case .unschedulable(let reason, let mayChange): noteUnschedulable(stage, of: run, reason: reason, mayChange: mayChange)
            }
        }
    }

    private func snapshots(volumes: Set<String>) -> [AgentSnapshot] {
        let now = clock.monotonic()
        var running: [String: [Double]] = [:]
        for entry in assignments.values {
            let elapsed = now - entry.startedAt
            let usual = builds[entry.stored.build].flatMap { run in
                durations[DurationKey(project: run.stored.request.project, stage: run.stages[entry.stored.stage].plan.name)]?.mean
            }
            let rest = max((usual ?? SchedulingPolicy().unknownDuration) - elapsed, elapsed * Self.overdueShare)
            running[entry.stored.agent, default: []].append(rest)
        }
        return agentEntries.values.map { agent in
            var snapshot = AgentSnapshot(
                name: agent.name, labels: agent.stored.labels, platforms: agent.platform.map { [$0] } ?? [], slots: agent.stored.slots)
            snapshot.condition = !isReachable(agent) || agent.session == nil ? .lost : agent.stored.drained ? .draining : .ready
            snapshot.running = running[agent.name] ?? []
            snapshot.layers = agent.layers
            snapshot.hostPaths = agent.stored.hostPaths
            for (key, generation) in agent.volumes {
                let name = Grant.object(of: key)
                if volumes.contains(name), ledger.isCurrent(HeldVolume(key: key, generation: generation)) {
                    snapshot.volumes[name] = generation
                }
            }
            return snapshot
        }
    }

    private func assign(_ number: Int, of run: BuildRun, _ ready: StageRun.Ready, _ placement: Placement) {
        guard let agent = agentEntries[placement.agent], let resolved = run.stored.plan else { return }
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
        run.stages[number].unschedulableSince = nil
        run.stages[number].row.agent = agent.name
        run.stages[number].row.status = .running
        run.stages[number].row.placement = placement.reason
        outbox.append(.insert(stored))
        save(number, of: run)
        emit(.stageStarted(stage: number, agent: agent.name, attempt: stored.attempt), run)
        send(.assign(command), to: agent.name)
    }

    private func noteUnschedulable(_ number: Int, of run: BuildRun, reason: String, mayChange: Bool) {
        let now = clock.monotonic()
        let name = run.stages[number].plan.name
        guard let since = run.stages[number].unschedulableSince else {
            run.stages[number].unschedulableSince = now
            run.stages[number].row.placement = "waits: \(reason)"
            save(number, of: run)
            return emit(.warning(text: "stage \(name) waits: \(reason)"), run)
        }
        let limit = mayChange ? settings.lostAgentsTimeout : settings.unschedulableTimeout
        guard now - since > limit else { return }
        finish(run, .failed, failure: BuildFailure(message: "stage \(name) can't be placed: \(reason)"))
    }
}
