import BuildPlan
import Digests
import FarmAPI
import Store

// What agents report becomes rows, records and events.
extension Coordinator {
    /// Returns when all reports are stored. Those that came before are skipped.
    public func report(_ reports: [AgentReport], from agent: String) async throws {
        guard let entry = agentEntries[agent] else { throw EngineError.conflict("\(agent) has no session") }
        // Of a process that has not opened its session yet: it sends them again afterwards.
        guard reports.allSatisfy({ $0.epoch == entry.stored.epoch }) else {
            throw EngineError.conflict("the coordinator does not know this process of \(agent): open a session")
        }
        heard(from: agent)
        var last = entry.stored.report
        var slotsAreFree = false
        for report in reports where report.number > last {
            last = report.number
            take(report, from: agent)
            if case .stageFinished = report.kind { slotsAreFree = true }
        }
        if last > entry.stored.report {
            agentEntries[agent]?.stored.report = last
            outbox.append(.setReport(last, of: agent, at: clock.now()))
            if slotsAreFree { schedule() }
        }
        // Also when all were skipped: the first arrival may still be on its way to the disk.
        try await settle()
    }

    private func take(_ report: AgentReport, from agent: String) {
        if case .selection(let chain, let selection) = report.kind { outbox.append(.put(selection, chain: chain, at: clock.now())) }
        if case .stepFinished(_, let outcome) = report.kind {
            keepResult(outcome, of: agent, at: report.time, isLate: assignments[report.assignment]?.stored.agent != agent)
        }
        guard let entry = assignments[report.assignment], entry.stored.agent == agent else { return }
        assignments[report.assignment]?.confirmed = clock.monotonic()
        if entry.isCancelling {
            if case .stageFinished = report.kind { endAssignment(report.assignment) }
            return
        }
        guard let run = builds[entry.stored.build], run.stages[entry.stored.stage].assignment == entry.stored.id else { return }
        let stage = entry.stored.stage
        switch report.kind {
        case .selection: break
        case .stepStarted(let number):
            let step = entry.stored.step(number)
            guard run.stages[stage].steps.indices.contains(step) else { return }
            run.stages[stage].steps[step].status = .running
            run.stages[stage].steps[step].startedAt = report.time
            save(step: step, stage: stage, of: run)
            emit(.stepStarted(stage: stage, step: step), run, time: report.time)
        case .log(let number, let text):
            let step = entry.stored.step(number)
            guard run.stages[stage].steps.indices.contains(step) else { return }
            emit(.log(stage: stage, step: step, text: text), run, time: report.time)
            spread(text, of: entry.stored.id, time: report.time)
        case .stepFinished(let number, let outcome):
            let step = entry.stored.step(number)
            guard run.stages[stage].steps.indices.contains(step) else { return }
            if let waited = outcome.waited, waited > 0, waited.isFinite { assignments[report.assignment]?.waited += waited }
            take(outcome, of: step, stage: stage, run, time: report.time)
            guard outcome.status == .succeeded else { return }
            moveOn(entry.stored.id)
            if step == entry.stored.lastStep { endHandedOver(entry.stored.id, run) }
        case .stageFinished(let outcome):
            take(outcome, of: entry, run, from: agent)
        }
    }

    // Also of an assignment that is not the agent's any more: the work was done, and the next attempt need not do it again.
    // One that comes late is kept beside nothing else: an image was made of the other by then, and is to be found again as it is.
    private func keepResult(_ outcome: StepOutcome, of agent: String, at time: Timestamp, isLate: Bool) {
        guard outcome.status == .succeeded, !outcome.cached, let layer = outcome.layer, let key = outcome.key else { return }
        let record = StoredRecord(key: key, layer: layer, createdAt: outcome.created ?? time, files: outcome.files)
        if !isLate { recentRecords.insert(record) }
        outbox.append(isLate ? .add(record) : .put(record))
        hold(layer, agent)
    }

    func take(_ outcome: StepOutcome, of step: Int, stage: Int, _ run: BuildRun, time: Timestamp) {
        var row = run.stages[stage].steps[step]
        row.status = outcome.status
        row.cached = outcome.cached
        row.startedAt = row.startedAt ?? time
        row.finishedAt = time
        row.exitCode = outcome.exitCode
        row.key = outcome.key
        row.layer = outcome.layer
        row.createdAt = outcome.created ?? time
        row.files = outcome.files
        row.bytes = outcome.bytes
        run.stages[stage].steps[step] = row
        save(step: step, stage: stage, of: run)
        emit(
            .stepFinished(
                stage: stage, step: step, status: outcome.status, cached: outcome.cached, exitCode: outcome.exitCode, error: outcome.error,
                bytes: outcome.bytes), run, time: time)
    }

    private func take(_ outcome: StageOutcome, of entry: AssignmentEntry, _ run: BuildRun, from agent: String) {
        let id = entry.stored.id
        let stage = entry.stored.stage
        switch outcome {
        case .succeeded:
            guard run.stages[stage].steps.allSatisfy({ $0.status == .succeeded && $0.layer != nil && $0.key != nil }) else {
                // All that the build had that the agent was told of: this one goes on from there.
                if entry.stored.isHandedOver { return giveBack(id, of: run) }
                blame(agent, for: (run, stage), reason: "it reported a stage as done, but not all of its steps")
                return retry(id, reason: "\(agent) reported the stage as done, but not all of its steps", avoiding: true)
            }
            praise(agent, for: run, stage)
            endAssignment(id)
            run.stages[stage].state = .waiting
            run.stages[stage].row.status = .succeeded
            save(stage, of: run)
            learn(
                max(0, clock.monotonic() - entry.startedAt - entry.waited), of: run.stages[stage].plan.name,
                project: run.stored.request.project)
            run.wake()
        case .failed(var failure):
            if failure.lines == nil, let step = run.stages[stage].steps.firstIndex(where: { $0.status == .failed }) {
                failure.lines = run.stages[stage].plan.steps[step].lines
            }
            if let step = run.stages[stage].steps.firstIndex(where: { $0.status == .failed }) {
                shareFailure(of: entry, step: step, failure, run)
            }
            endAssignment(id)
            run.stages[stage].state = .waiting
            run.stages[stage].row.status = .failed
            save(stage, of: run)
            finish(run, .failed, failure: failure)
        case .cancelled: retry(id, reason: "\(agent) gave it up", avoiding: false)
        case .yielded: giveBack(id, of: run)
        case .unable(let reason):
            if reason != StageOutcome.stoppingReason { blame(agent, for: (run, stage), reason: reason) }
            retry(id, reason: "\(agent): \(reason)", avoiding: true)
        }
    }

    private func learn(_ seconds: Double, of stage: String, project: String) {
        let key = DurationKey(project: project, stage: stage)
        var duration = durations[key] ?? StoredDuration(project: project, stage: stage, count: 0, mean: seconds)
        duration.take(seconds)
        durations[key] = duration
        outbox.append(.put(duration))
    }
}
