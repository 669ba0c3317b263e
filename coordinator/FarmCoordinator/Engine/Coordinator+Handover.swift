import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

// A build ends while others wait for a step of its: the step goes on for one of them.
extension Coordinator {
    /// Gives the assignment to a build that waits for its step; the agent need not know.
    /// - Returns: false when nobody who waits could have it.
    func handOver(_ id: String, of run: BuildRun) -> Bool {
        guard let entry = assignments[id], entry.sent, !entry.isCancelling, let step = currentStep(of: entry, run) else { return false }
        for waiter in claims.waiters(for: id) {
            guard let heir = builds[waiter.build], heir.isOpen, heir.id != run.id,
                case .shares(let ready) = heir.stages[waiter.stage].state
            else { continue }
            let count = commonSteps(of: entry, from: step, run, heir, waiter)
            guard count > 0 else { continue }
            let isAll = entry.stored.lastStep == nil && step + count == run.stages[entry.stored.stage].steps.count
            handOver(entry, step: step, to: waiter, heir, ready, lastStep: isAll ? nil : waiter.step + count - 1)
            logger.info(
                "a step goes on for another build",
                metadata: ["assignment": "\(id)", "from": "\(run.id)", "to": "\(heir.id)", "agent": "\(entry.stored.agent)"])
            return true
        }
        return false
    }

    private func handOver(
        _ entry: AssignmentEntry, step: Int, to waiter: StepClaims.Waiter, _ heir: BuildRun, _ ready: StageRun.Ready, lastStep: Int?
    ) {
        let (id, now) = (entry.stored.id, clock.monotonic())
        // Its time so far is charged to the build that ends, the rest to the heir.
        scheduler.end("\(entry.stored.build)-\(entry.stored.stage)", now)
        claims.leave(build: waiter.build, stage: waiter.stage)
        heir.stages[waiter.stage].row.attempts += 1
        var stored = entry.stored
        stored.shift += waiter.step - step
        stored.build = heir.id
        stored.stage = waiter.stage
        stored.firstStep = waiter.step
        stored.lastStep = lastStep
        stored.attempt = heir.stages[waiter.stage].row.attempts
        assignments[id]?.stored = stored
        outbox.append(.update(stored))
        scheduler.adopt(ready.demand, on: stored.agent, since: now)
        heir.stages[waiter.stage].state = .assigned(id)
        heir.stages[waiter.stage].row.agent = stored.agent
        heir.stages[waiter.stage].row.status = .running
        heir.stages[waiter.stage].row.decision = nil
        heir.stages[waiter.stage].row.placement = "took over from build \(entry.stored.build), which has ended"
        save(waiter.stage, of: heir)
        emit(.stageStarted(stage: waiter.stage, agent: stored.agent, attempt: stored.attempt), heir)
    }

    /// How many steps from here on the heir could have of the assignment, as the agent runs them: 0 when not even the one that it shares.
    private func commonSteps(
        of entry: AssignmentEntry, from step: Int, _ run: BuildRun, _ heir: BuildRun, _ waiter: StepClaims.Waiter
    ) -> Int {
        let labels = agentEntries[entry.stored.agent]?.stored.labels ?? [:]
        guard heir.stored.request.options.require.allSatisfy({ labels[$0.key] == $0.value }) else { return 0 }
        let own = run.stages[entry.stored.stage].plan.steps[step...].prefix((entry.stored.lastStep ?? Int.max - 1) - step + 1)
        let wanted = heir.stages[waiter.stage].plan.steps[waiter.step...]
        let sameProject = run.stored.request.project == heir.stored.request.project
        let sameContext = run.stored.request.contextRoot == heir.stored.request.contextRoot
        var count = 0
        for (mine, theirs) in zip(own, wanted) {
            // The agent asks for the volumes of the project that it was told.
            guard sameProject || !theirs.operation.hasVolumes else { break }
            // What it brings of the repository is of the commit that it was told.
            guard sameContext || theirs.operation.gitMappings == nil else { break }
            if count > 0 {
                // The shared step is equal by its key; those after it are when they say the same of the same.
                guard mine.operation == theirs.operation,
                    mine.operation.sources.allSatisfy({ source in
                        source == .context
                            ? sameContext : run.layers(of: source) != nil && run.layers(of: source) == heir.layers(of: source)
                    })
                else { break }
            }
            count += 1
        }
        return count
    }

    /// The heir's part of the assignment is made: the agent need not go on with what is left of it.
    func endHandedOver(_ id: String, _ run: BuildRun) {
        guard let entry = assignments[id] else { return }
        scheduler.end("\(entry.stored.build)-\(entry.stored.stage)", clock.monotonic())
        // Nobody's, also after a restart; it keeps its locks until the agent has ended it.
        assignments[id]?.stored.stage = StoredAssignment.nobody
        assignments[id]?.isCancelling = true
        if let stored = assignments[id]?.stored { outbox.append(.update(stored)) }
        run.stages[entry.stored.stage].state = .waiting
        run.stages[entry.stored.stage].row.status = .queued
        save(entry.stored.stage, of: run)
        send(.cancel(assignment: id), to: entry.stored.agent)
        run.wake()
    }
}
