import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

// Equal work at once is done once: a stage whose next step an agent makes already, for whichever build, waits for its record.
extension Coordinator {
    /// Of a running step's output, in bytes, what a build sees that comes to share it later: enough for what it does now, little enough for
    /// thousands of steps. The build that runs it has everything.
    static let sharedOutput = 16 << 10

    /// The names under which a step is known while it is made; empty where it is nobody else's: of builds that want it anew.
    ///
    /// The first name is the step's key with the places of its inputs in the stead of digests that may not be known yet: all of it is in
    /// memory, so that there is no moment between two steps of an agent in which nobody has the second.
    func names(of step: Step, below layers: [LayerDescriptor], stage: Int, _ run: BuildRun, key: Digest? = nil) -> [Digest] {
        guard let resolved = run.stored.plan, !step.operation.waitsForResults,
            !isUncached(run.stages[stage].plan, run.stored.request.options)
        else { return [] }
        var places: [Digest] = []
        for input in step.operation.inputs {
            if input.source == .context {
                guard let digest = run.contextDigests[input] else { return [] }
                places.append(digest)
            } else {
                guard let layers = run.layers(of: input.source) else { return [] }
                places.append(Digest.of("\(input.place(in: layers))\n\(input.wildcards)\n\(input.path)"))
            }
        }
        let place = step.key(parent: Chain.id(of: layers), platform: resolved.plan.platform, inputs: places)
        let names = names(of: place, step.operation, run)
        guard let key, key != place else { return names }
        return names + self.names(of: key, step.operation, run)
    }

    /// The names of a step whose key is known.
    func names(of key: Digest, _ operation: Operation, _ run: BuildRun) -> [Digest] {
        let options = run.stored.request.options
        var name = "\(key)"
        // With empty volumes it makes the same to the cache, but not to who asked for that.
        if options.noCacheMounts, operation.hasVolumes { name += " without volumes" }
        // What fails for want of memory succeeds with more: nobody is given less, or another machine's share, than was asked for.
        if let cpus = options.cpus { name += " with \(cpus) processors" }
        if let memory = options.memory { name += " with \(memory) bytes of memory" }
        return name == "\(key)" ? [key] : [Digest.of(name)]
    }

    /// Looks whether somebody makes the first step of a stage that could run now: then the stage waits for it, else it may be queued.
    func shareOrQueue(_ number: Int, of run: BuildRun) {
        guard case .ready(let ready) = run.stages[number].state else { return }
        if let maker = claims.maker(of: ready.names) {
            share(number, of: run, ready, madeBy: maker)
        } else {
            claims.want(ready.names, StepClaims.Waiter(build: run.id, stage: number, step: ready.firstStep))
        }
    }

    /// The stage waits for a step that an assignment makes.
    func share(_ number: Int, of run: BuildRun, _ ready: StageRun.Ready, madeBy id: String) {
        guard let entry = assignments[id] else { return }
        scheduler.withdraw(Self.stageID(run, number))
        claims.wait(StepClaims.Waiter(build: run.id, stage: number, step: ready.firstStep), for: id)
        run.stages[number].state = .shares(ready)
        run.stages[number].unschedulable = nil
        let step = ready.firstStep
        let name = run.stages[number].steps[step].name
        run.stages[number].steps[step].status = .running
        run.stages[number].steps[step].startedAt = clock.now()
        save(step: step, stage: number, of: run)
        run.stages[number].row.status = .running
        run.stages[number].row.decision = nil
        run.stages[number].row.placement =
            "shares \(name) with \(entry.stored.build == run.id ? "another stage" : "build \(entry.stored.build)") on \(entry.stored.agent)"
        save(number, of: run)
        emit(.stepShared(stage: number, step: step, build: entry.stored.build, agent: entry.stored.agent), run)
        if !entry.output.isEmpty { emit(.log(stage: number, step: step, text: entry.output), run) }
    }

    /// True while the stage waits for the step, and somebody makes it.
    func isSharing(_ number: Int, of run: BuildRun, step: Int) -> Bool {
        guard case .shares = run.stages[number].state, let waits = claims.waits(build: run.id, stage: number) else { return false }
        return waits.step == step
    }

    /// The assignment makes its next step from now on.
    func claimNext(_ id: String) {
        guard let entry = assignments[id], !entry.isCancelling, let run = builds[entry.stored.build],
            run.stages.indices.contains(entry.stored.stage)
        else { return }
        assignments[id]?.output = ""
        let number = entry.stored.stage
        let stage = run.stages[number]
        guard let base = stage.base, let step = currentStep(of: entry, run) else { return }
        let below = (0..<step).map { stage.known($0)?.layer }
        guard !below.contains(nil) else { return }
        claim(names(of: stage.plan.steps[step], below: base + below.compactMap(\.self), stage: number, run), by: id)
    }

    /// The step that the assignment makes, or makes next; nil when it has made all.
    func currentStep(of entry: AssignmentEntry, _ run: BuildRun) -> Int? {
        let steps = run.stages[entry.stored.stage].steps
        let step = steps.indices.dropFirst(entry.stored.firstStep).first { steps[$0].status != .succeeded }
        guard let step, step <= entry.stored.lastStep ?? step else { return nil }
        return step
    }

    /// The assignment makes the step of these names; whoever is queued for it waits for that instead.
    func claim(_ names: [Digest], by id: String) {
        for waiter in claims.claim(names, by: id) {
            guard let run = builds[waiter.build], case .ready(let ready) = run.stages[waiter.stage].state else { continue }
            share(waiter.stage, of: run, ready, madeBy: id)
        }
    }

    /// The assignment's step is made: those that wait for it find its record, and may share the next step too.
    func moveOn(_ id: String) {
        let waiters = claims.release(id)
        claimNext(id)
        for waiter in waiters { builds[waiter.build]?.wake() }
    }

    /// The assignment has ended without its step: those that wait for it look for themselves.
    /// - Parameter reason: nil where they will find somebody else who makes it.
    func giveUpClaims(of id: String, reason: String?) {
        for waiter in claims.release(id) {
            guard let run = builds[waiter.build], run.isOpen else { continue }
            run.stages[waiter.stage].state = .waiting
            run.stages[waiter.stage].row.status = .queued
            save(waiter.stage, of: run)
            if let reason { emit(.stageRetried(stage: waiter.stage, reason: reason), run) }
            run.wake()
        }
    }

    /// The agent gave the stage back because another makes its next step: no trouble, and no attempt that counts.
    func giveBack(_ id: String, of run: BuildRun) {
        guard let stage = assignments[id]?.stored.stage else { return }
        endAssignment(id)
        run.stages[stage].state = .waiting
        run.stages[stage].row.status = .queued
        run.stages[stage].row.excused += 1
        save(stage, of: run)
        // The digests of its inputs are what tells whose step it waits for.
        run.readsNewest = true
        run.wake()
    }

    /// A line of output of the step that the assignment makes, for all who wait for it.
    func spread(_ text: String, of id: String, time: Timestamp) {
        guard var output = assignments[id]?.output else { return }
        output += text
        if output.utf8.count > Self.sharedOutput {
            // From the start of a line on, where there is one.
            let rest = output.utf8.suffix(Self.sharedOutput)
            let start = rest.firstIndex(of: UInt8(ascii: "\n")).map(rest.index(after:)) ?? rest.startIndex
            output = String(decoding: rest[start...], as: UTF8.self)
        }
        assignments[id]?.output = output
        for waiter in claims.waiters(for: id) {
            guard let run = builds[waiter.build] else { continue }
            emit(.log(stage: waiter.stage, step: waiter.step, text: text), run, time: time)
        }
    }

    /// A step failed by itself: builds that share it fail with it, unless it might have gone otherwise for them.
    func shareFailure(of entry: AssignmentEntry, step: Int, _ failure: BuildFailure, _ run: BuildRun) {
        let row = run.stages[entry.stored.stage].steps[step]
        let operation = run.stages[entry.stored.stage].plan.steps[step].operation
        for waiter in claims.waiters(for: entry.stored.id) where waiter.build != run.id && operation.failsAlike {
            // With other reserves it may not come to the end of them.
            guard let other = builds[waiter.build], other.isOpen,
                other.stored.request.options.cpus == run.stored.request.options.cpus,
                other.stored.request.options.memory == run.stored.request.options.memory
            else { continue }
            claims.leave(build: waiter.build, stage: waiter.stage)
            let planned = other.stages[waiter.stage].plan.steps[waiter.step]
            other.stages[waiter.stage].steps[waiter.step].status = .failed
            other.stages[waiter.stage].steps[waiter.step].exitCode = row.exitCode
            other.stages[waiter.stage].steps[waiter.step].finishedAt = row.finishedAt
            save(step: waiter.step, stage: waiter.stage, of: other)
            other.stages[waiter.stage].state = .waiting
            other.stages[waiter.stage].row.status = .failed
            save(waiter.stage, of: other)
            emit(
                .stepFinished(
                    stage: waiter.stage, step: waiter.step, status: .failed, cached: false, exitCode: row.exitCode, error: failure.message,
                    bytes: ReceivedBytes()), other)
            var shared = failure
            shared.lines = planned.lines
            shared.message += " (it ran once for this build and build \(run.id))"
            finish(other, .failed, failure: shared)
        }
        giveUpClaims(of: entry.stored.id, reason: "the step failed in build \(run.id); it runs here for itself")
    }

    /// After a restart: what agents make, from the rows of what they have made. Cheap when there is nothing to do.
    func claimRestored() async throws {
        for id in unclaimed.sorted() {
            guard let entry = assignments[id], !entry.isCancelling, let run = builds[entry.stored.build], let resolved = run.stored.plan
            else {
                unclaimed.remove(id)
                continue
            }
            // What fails the build is found by its own task.
            do { try await digestContext(of: run, plan: resolved.plan) } catch is PlanningError {}
            guard unclaimed.remove(id) != nil, run.isOpen else { continue }
            run.findBase(of: entry.stored.stage)
            claimNext(id)
        }
    }
}

extension Operation {
    /// Whether it would fail for another build too, as far as the key tells: what is not in the key may be another build's reason to try.
    fileprivate var failsAlike: Bool {
        guard case .run(let run) = self else { return true }
        return run.unkeyedNames.isEmpty
            && !run.mounts.contains { mount in
                switch mount.kind {
                case .secret, .host: true
                default: false
                }
            }
    }

    /// Whether it mounts volumes.
    var hasVolumes: Bool {
        guard case .run(let run) = self else { return false }
        return run.mounts.contains { if case .cache = $0.kind { true } else { false } }
    }
}

extension BuildRun {
    /// The layers below a stage that an agent has, after a restart.
    fileprivate func findBase(of number: Int) {
        guard stages.indices.contains(number), stages[number].base == nil, case .stage(let below) = stages[number].plan.base else { return }
        findBase(of: below)
        stages[number].base = layers(of: below)
    }
}
