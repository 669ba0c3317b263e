import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

// The life of a build: one task a build, woken by whatever changes what the build can do next.
extension Coordinator {
    func drive(_ id: String) async {
        guard let run = builds[id] else { return }
        for await _ in run.wakeups {
            guard run.isOpen, !Task.isCancelled else { break }
            guard run.stored.uploaded else { continue }
            do {
                if run.stored.plan == nil { try await makePlan(run) }
                if run.isOpen { try await evaluate(run) }
            } catch is CancellationError {
                break
            } catch let error as PlanningError {
                finish(run, .failed, failure: error.failure)
            } catch {
                finish(run, .failed, failure: BuildFailure(message: "\(error)"))
            }
            // What it could not store is logged, and the next wake-up tries again.
            try? await settle()
        }
    }

    private func makePlan(_ run: BuildRun) async throws {
        let request = run.stored.request
        let platform = run.stored.platform
        var images: [String: BaseImage] = [:]
        let names = try frontend.baseImages(of: request, platform: platform)
        for name in names { images[name] = try await self.images.image(named: name, platform: platform) }
        let plan: Plan
        do {
            plan = try frontend.plan(of: request, platform: platform, images: images).with(request.options)
        } catch let error as PlanningError {
            throw Self.hinting(error, missing: names.filter { images[$0] == nil }, platform: platform)
        }
        let resolved = StoredPlan(plan: plan, images: images)
        try await digestContext(of: run, plan: plan)
        guard run.isOpen else { return }
        run.stored.plan = resolved
        run.stored.status = .running
        run.stored.startedAt = clock.now()
        run.makeStages()
        outbox.append(.plan(resolved, of: run.id))
        outbox.append(.update(run.stored))
        for stage in run.stages.indices {
            save(stage, of: run)
            for step in run.stages[stage].steps.indices { save(step: step, stage: stage, of: run) }
        }
        try checkHostPaths(of: plan)
        let stages = plan.stages.map { stage in
            BuildEvent.PlannedStage(name: stage.name, steps: stage.steps.map(\.name), lines: stage.steps.map(\.lines))
        }
        emit(.planned(stages: stages), run)
        for warning in plan.warnings { emit(.warning(text: warning), run) }
    }

    // The frontend knows the line, the engine knows where images come from.
    private static func hinting(_ error: PlanningError, missing: [String], platform: Platform) -> PlanningError {
        guard let name = missing.first(where: { error.failure.message.contains("'\($0)' was not found") }) else { return error }
        var failure = error.failure
        failure.message +=
            ": it is not imported in this farm for \(platform). Import it with `farm image import \(name) FILE` (an OCI or Docker archive, "
            + "or a root file system as tar); pulling from registries is not built yet"
        return PlanningError(failure)
    }

    /// Takes the content digests of all parts of the context that the plan reads: what is missing fails the build before anything runs.
    func digestContext(of run: BuildRun, plan: Plan) async throws {
        for step in plan.stages.flatMap(\.steps) {
            for input in step.operation.inputs where input.source == .context && run.contextDigests[input] == nil {
                guard let root = run.stored.request.contextRoot else {
                    throw PlanningError(BuildFailure(message: "\(step.name): the build has no context", lines: step.lines))
                }
                do {
                    run.contextDigests[input] = try await contexts.contentDigest(root: root, selection: input)
                } catch is CancellationError {
                    throw CancellationError()
                } catch {
                    throw PlanningError(BuildFailure(message: "\(step.name): \(error)", lines: step.lines))
                }
            }
        }
    }

    // At once: waiting makes no agent that allows it.
    private func checkHostPaths(of plan: Plan) throws {
        guard !agentEntries.isEmpty else { return }
        for step in plan.stages.flatMap(\.steps) {
            for path in step.operation.hostPaths
            where !agentEntries.values.contains(where: { AgentProfile.allows(path, among: $0.stored.hostPaths) }) {
                throw PlanningError(
                    BuildFailure(
                        message: "\(step.name): no agent lets builds mount \(path) of its machine; an operator can allow it there by the "
                            + "setting host-paths", lines: step.lines))
            }
        }
    }

    /// Ends a build: what still runs is told to stop, and the readers of its events that there is no more.
    func finish(
        _ run: BuildRun, _ status: Status, failure: BuildFailure?, image: StoredResult? = nil, images: [String: StoredResult]? = nil
    ) {
        guard run.isOpen else { return }
        for stage in run.stages.indices { claims.leave(build: run.id, stage: stage) }
        for stage in run.stages.indices {
            if let id = run.stages[stage].assignment, let entry = assignments[id], !handOver(id, of: run) {
                assignments[id]?.isCancelling = true
                giveUpClaims(of: id, reason: "build \(run.id), which ran the step, is \(status.rawValue)")
                assignments[id]?.command = nil
                if entry.sent {
                    send(.cancel(assignment: id), to: entry.stored.agent)
                } else {
                    endAssignment(id)
                }
            }
            for step in run.stages[stage].steps.indices where !run.stages[stage].steps[step].status.isFinal {
                run.stages[stage].steps[step].status = .cancelled
                save(step: step, stage: stage, of: run)
            }
            if !run.stages[stage].row.status.isFinal {
                run.stages[stage].row.status = .cancelled
                save(stage, of: run)
            }
        }
        run.stored.status = status
        run.stored.finishedAt = clock.now()
        run.stored.failure = failure
        run.stored.image = image
        run.stored.images = images
        forgetSecrets(of: run.id)
        needsBell.close(run.id)
        contexts.release(run.id)
        outbox.append(.update(run.stored))
        emit(
            .finished(
                status: status, error: failure, image: image.map { BuildDescription.Image($0) },
                images: images?.mapValues { BuildDescription.Image($0) }), run)
        offer(run)
        builds[run.id] = nil
        run.end()
    }

    /// The assignment is over, and with it its locks.
    func endAssignment(_ id: String) {
        guard let entry = assignments.removeValue(forKey: id) else { return }
        giveUpClaims(of: id, reason: nil)
        scheduler.end("\(entry.stored.build)-\(entry.stored.stage)", clock.monotonic())
        for lock in locks.locks(of: id) {
            formerLocks[lock] = locks.remains(of: lock)
            giveBack(lock)
        }
        outbox.append(.removeAssignment(id))
    }

    /// The stage is tried again, elsewhere if it can be, or the build fails when it was tried often enough.
    func retry(_ id: String, reason: String, avoiding: Bool) {
        guard let entry = assignments[id] else { return }
        giveUpClaims(of: id, reason: "build \(entry.stored.build), which ran the step: \(reason)")
        endAssignment(id)
        let stage = entry.stored.stage
        guard !entry.isCancelling, let run = builds[entry.stored.build], run.stages[stage].assignment == id else { return }
        run.stages[stage].state = .waiting
        run.stages[stage].row.status = .queued
        run.stages[stage].row.placement = nil
        run.stages[stage].row.decision = nil
        if avoiding { run.stages[stage].avoid.insert(entry.stored.agent) }
        let isGivenUp = run.stages[stage].row.failures >= settings.maximumAttempts
        if isGivenUp {
            // Nobody cancelled it.
            var outcome = StepOutcome(status: .failed, cached: false)
            outcome.error = reason
            for step in run.stages[stage].steps.indices where run.stages[stage].steps[step].status == .running {
                take(outcome, of: step, stage: stage, run, time: clock.now())
            }
            run.stages[stage].row.status = .failed
        }
        for step in run.stages[stage].steps.indices where run.stages[stage].steps[step].status == .running {
            run.stages[stage].steps[step].status = .queued
            run.stages[stage].steps[step].startedAt = nil
            save(step: step, stage: stage, of: run)
        }
        save(stage, of: run)
        logger.warning(
            "a stage is retried",
            metadata: [
                "build": "\(run.id)", "stage": "\(run.stages[stage].plan.name)", "agent": "\(entry.stored.agent)", "reason": "\(reason)",
            ])
        if isGivenUp {
            let name = run.stages[stage].plan.name
            finish(
                run, .failed,
                failure: BuildFailure(message: "stage \(name) was tried \(settings.maximumAttempts) times; the last time: \(reason)"))
        } else {
            emit(.stageRetried(stage: stage, reason: reason), run)
            run.wake()
        }
    }
}
