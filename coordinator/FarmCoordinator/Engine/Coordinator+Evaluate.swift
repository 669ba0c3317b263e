import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

// A look at a build's graph: what is known by its records, what has to run, and what could run now.
extension Coordinator {
    func evaluate(_ run: BuildRun) async throws {
        guard let resolved = run.stored.plan else { return }
        // After a restart they are not in memory.
        try await digestContext(of: run, plan: resolved.plan)
        try await claimRestored()
        if run.readsNewest {
            run.readsNewest = false
            try await settle()
        }
        try await findRecords(of: run, resolved)
        while run.isOpen {
            let outlook = try look(at: run, resolved)
            if outlook.contextParts.isSubset(of: run.requested) {
                apply(outlook, to: run, resolved)
                break
            }
            try await request(outlook.contextParts.subtracting(run.requested), of: run)
        }
        if run.isOpen, resolved.plan.targets.allSatisfy({ run.stages.indices.contains($0) && run.stages[$0].isDone }) {
            try finish(run, resolved)
        }
        run.isExamined = true
        needsBell.ring(run.id, last: 1)
        schedule()
    }

    /// Walks all stages upward through their records, as far as keys can be known.
    private func findRecords(of run: BuildRun, _ resolved: StoredPlan) async throws {
        for number in run.stages.indices {
            if run.stages[number].assignment != nil { continue }
            try resolveReferences(of: number, run, resolved)
            let stage = run.stages[number]
            var found: [StoredRecord?] = Array(repeating: nil, count: stage.steps.count)
            var missing: (step: Int, key: Digest)?
            let base = baseLayers(of: stage.plan, run, resolved)
            var below = base ?? []
            if base != nil {
                for index in stage.steps.indices {
                    if let record = run.stages[number].known(index), stage.steps[index].status == .succeeded {
                        below.append(record.layer)
                        continue
                    }
                    if isUncached(stage.plan, run.stored.request.options) { break }
                    let step = stage.plan.steps[index]
                    guard !step.operation.waitsForResults, let inputs = try await inputs(of: step, run) else { break }
                    let key = step.key(parent: Chain.id(of: below), platform: resolved.plan.platform, inputs: inputs)
                    guard let stored = try await storedRecord(key), let record = try await counted(stored, for: step, run) else {
                        missing = (index, key)
                        break
                    }
                    found[index] = record
                    below.append(record.layer)
                }
            }
            // It may have changed hands while the store was asked.
            guard run.isOpen, run.stages[number].assignment == nil else { continue }
            if let base, let before = run.stages[number].base, base != before {
                // What it stands on was made anew and came out differently: its own results stand on what is gone.
                forget(from: 0, stage: number, of: run)
                found = Array(repeating: nil, count: stage.steps.count)
                run.wake()
            }
            run.stages[number].base = base
            run.stages[number].found = found
            run.stages[number].missing = missing
        }
    }

    private func baseLayers(of stage: Stage, _ run: BuildRun, _ resolved: StoredPlan) -> [LayerDescriptor]? {
        switch stage.base {
        case .scratch: []
        case .image(let name): resolved.images[name]?.layers
        case .stage(let index): run.stages[index].assignment == nil ? run.layers(of: index) : nil
        }
    }

    /// A record counts as long as the repository's state that its layer has is known: what comes after it starts from there.
    private func counted(_ record: StoredRecord, for step: Step, _ run: BuildRun) async throws -> StoredRecord? {
        guard step.operation.gitMappings != nil else { return record }
        guard let root = run.stored.request.contextRoot else { return nil }
        if step.operation.isPatch {
            // Its key has the files: they are this commit's, whichever commit it was made for.
            var current = record
            current.files = root
            return current
        }
        guard let files = record.files else { return nil }
        if files == root { return record }
        contexts.holdTree(files, for: run.id)
        return try await contexts.hasTree(files) ? record : nil
    }

    /// The record of a key, also one that was made while the store was asked.
    func storedRecord(_ key: Digest) async throws -> StoredRecord? {
        if let record = recentRecords[key] { return record }
        let record = try await store.record(key)
        return recentRecords[key] ?? record
    }

    private func inputs(of step: Step, _ run: BuildRun) async throws -> [Digest]? {
        var digests: [Digest] = []
        for input in step.operation.inputs {
            if input.source == .context {
                guard let digest = run.contextDigests[input] else { return nil }
                digests.append(digest)
            } else {
                guard let layers = run.layers(of: input.source),
                    let digest = try await store.selection(chain: input.place(in: layers), path: input.path, wildcards: input.wildcards)
                else { return nil }
                digests.append(digest)
            }
        }
        return digests
    }

    func isUncached(_ stage: Stage, _ options: BuildOptions) -> Bool {
        options.noCache || options.noCacheFilter.contains { $0.lowercased() == stage.name.lowercased() }
    }

    /// What a look at the graph found.
    struct Outlook {
        /// By stage: the first step that has to run; the number of steps when only its base has to come back. Absent: nothing to do.
        var work: [Int: Int] = [:]
        /// Stages whose results somebody reads.
        var needed: Set<Int> = []
        /// What the steps that may run read of the context.
        var contextParts: Set<TreeSelection> = []
    }

    /// Finds from the target downward what is needed and not there. A stage below steps that all have records is not needed.
    private func look(at run: BuildRun, _ resolved: StoredPlan) throws -> Outlook {
        var outlook = Outlook(needed: Set(resolved.plan.targets))
        for number in run.stages.indices.reversed() where outlook.needed.contains(number) {
            let stage = run.stages[number]
            if let id = stage.assignment {
                let first = assignments[id]?.stored.firstStep ?? 0
                for step in stage.plan.steps.dropFirst(first) { outlook.contextParts.formUnion(contextParts(of: step)) }
                continue
            }
            // Whose results are in its variables: they are needed until they are known, their layers are not.
            for reference in stage.plan.allReferences where run.layers(of: reference.stage) == nil {
                outlook.needed.insert(reference.stage)
            }
            let first = stage.steps.indices.first { index in stage.known(index).map { !isAvailable($0.layer) } ?? true }
            let baseIsThere = stage.base?.allSatisfy { isAvailable($0) } ?? false
            if first == nil, baseIsThere { continue }
            let start = first ?? stage.steps.count
            outlook.work[number] = start
            if !baseIsThere {
                switch stage.plan.base {
                case .stage(let below): outlook.needed.insert(below)
                case .image(let name): throw imageIsGone(name)
                case .scratch: break
                }
            }
            for step in stage.plan.steps.dropFirst(start) {
                outlook.contextParts.formUnion(contextParts(of: step))
                for source in step.operation.sources {
                    switch source {
                    case .context: break
                    case .stage(let index): outlook.needed.insert(index)
                    case .image(let name):
                        guard let image = resolved.images[name], image.layers.allSatisfy({ isAvailable($0) }) else {
                            throw imageIsGone(name)
                        }
                    }
                }
            }
        }
        return outlook
    }

    private func contextParts(of step: Step) -> [TreeSelection] { step.operation.reads.filter { $0.source == .context } }

    private func imageIsGone(_ name: String) -> PlanningError {
        PlanningError(
            BuildFailure(message: "the layers of image \(name) are gone from this farm; import it again: farm image import \(name) FILE"))
    }

    /// Asks the client for the file contents that are not stored.
    private func request(_ parts: Set<TreeSelection>, of run: BuildRun) async throws {
        guard let root = run.stored.request.contextRoot else { return }
        let ordered = parts.sorted { ($0.path, $0.wildcards ? 1 : 0) < ($1.path, $1.wildcards ? 1 : 0) }
        // Before it is asked what is missing: what is here now must stay.
        contexts.hold(run.requested.union(parts), root: root, for: run.id)
        for part in ordered { run.contextBytes[part] = try await contexts.contentBytes(root: root, selections: [part]) }
        let missing = try await contexts.missingContents(root: root, selections: ordered)
        guard run.isOpen else { return }
        run.requested.formUnion(parts)
        guard !missing.isEmpty else { return }
        var all = Set(missing)
        if case .missing(let before) = run.contents { all.formUnion(before) }
        run.contents = .missing(all)
        run.clientSeen = clock.monotonic()
        emit(.needsContents(files: all.count), run)
    }

    private func apply(_ outlook: Outlook, to run: BuildRun, _ resolved: StoredPlan) {
        for number in run.stages.indices where run.stages[number].assignment == nil {
            guard outlook.needed.contains(number), let first = outlook.work[number] else {
                claims.leave(build: run.id, stage: number)
                if run.layers(of: number) != nil { settleAsDone(number, of: run) }
                continue
            }
            if isSharing(number, of: run, step: first) { continue }
            claims.leave(build: run.id, stage: number)
            if run.stages[number].isDone {
                guard run.stages[number].row.failures < settings.maximumAttempts else {
                    return finish(
                        run, .failed,
                        failure: BuildFailure(message: "layers of stage \(run.stages[number].plan.name) were lost again and again"))
                }
                run.stages[number].row.status = .queued
                save(number, of: run)
                emit(.stageRetried(stage: number, reason: "layers that it had made are not in the farm any more"), run)
            }
            forget(from: first, stage: number, of: run)
            run.stages[number].state = .waiting
            if let ready = ready(number, first: first, of: run) {
                markCached(upTo: first, stage: number, of: run)
                run.stages[number].state = .ready(ready)
                shareOrQueue(number, of: run)
            }
        }
        offer(run)
    }

    private func settleAsDone(_ number: Int, of run: BuildRun) {
        guard !run.stages[number].isDone else { return }
        markCached(upTo: run.stages[number].steps.count, stage: number, of: run)
        run.stages[number].state = .done
        if run.stages[number].row.status != .succeeded {
            run.stages[number].row.status = .succeeded
            save(number, of: run)
        }
    }

    /// Results of this build that are not in the farm any more, and what was made upon them.
    func forget(from first: Int, stage number: Int, of run: BuildRun) {
        for step in run.stages[number].steps.indices.dropFirst(first) where run.stages[number].steps[step].status != .queued {
            run.stages[number].steps[step] = StoredStep(
                build: run.id, stage: number, number: step, name: run.stages[number].steps[step].name)
            save(step: step, stage: number, of: run)
        }
    }

    private func markCached(upTo end: Int, stage number: Int, of run: BuildRun) {
        for index in 0..<end where run.stages[number].steps[index].status != .succeeded {
            guard let record = run.stages[number].known(index) else { return }
            let now = clock.now()
            var row = run.stages[number].steps[index]
            row.cached = true
            // A step that was shared has begun before.
            row.startedAt = row.status == .running ? row.startedAt : now
            row.finishedAt = now
            row.key = record.key
            row.layer = record.layer
            row.createdAt = record.createdAt
            row.files = record.files
            row.status = .succeeded
            run.stages[number].steps[index] = row
            save(step: index, stage: number, of: run)
            emit(
                .stepFinished(
                    stage: number, step: index, status: .succeeded, cached: true, exitCode: nil, error: nil, bytes: ReceivedBytes()), run,
                time: now)
        }
    }

    /// What an assignment of the stage would need; nil while something of it is not there.
    private func ready(_ number: Int, first: Int, of run: BuildRun) -> StageRun.Ready? {
        let stage = run.stages[number]
        guard stage.plan.allReferences.isEmpty, first < stage.steps.count, let base = stage.base, base.allSatisfy({ isAvailable($0) })
        else { return nil }
        let below = base + (0..<first).compactMap { stage.known($0)?.layer }
        var sources: [TreeSource: [LayerDescriptor]] = [:]
        var ordered: [TreeSource] = []
        var parts: Set<TreeSelection> = []
        var volumes: Set<VolumeKey> = []
        var hostPaths: Set<String> = []
        for step in stage.plan.steps.dropFirst(first) {
            parts.formUnion(contextParts(of: step))
            for source in step.operation.sources where source != .context && sources[source] == nil {
                if case .stage(let index) = source, !run.stages[index].isDone { return nil }
                guard let layers = run.layers(of: source), layers.allSatisfy({ isAvailable($0) }) else { return nil }
                sources[source] = layers
                ordered.append(source)
            }
            volumes.formUnion(volumeKeys(of: step, run))
            hostPaths.formUnion(step.operation.hostPaths)
        }
        var demand = demand(of: number, run)
        demand.layers = Array(Set(below + sources.values.flatMap(\.self)))
        demand.contextBytes = parts.reduce(0) { $0 &+ max(0, run.contextBytes[$1] ?? 0) }
        demand.volumes = volumes.map { key in
            VolumeDemand(
                name: Grant.object(of: key), head: ledger.head(of: key), bytes: ledger.volumes[key]?.bytes ?? 0,
                changes: ledger.changes(of: key))
        }
        demand.avoid = stage.avoid
        demand.hostPaths = hostPaths.sorted()
        return StageRun.Ready(
            firstStep: first,
            names: names(
                of: stage.plan.steps[first], below: below, stage: number, run,
                key: stage.missing.flatMap { $0.step == first ? $0.key : nil }),
            base: below, files: run.files(below: first, of: number),
            sources: ordered.map { StageAssignment.SourceLayers(source: $0, layers: sources[$0] ?? []) }, demand: demand,
            readsContext: !parts.isEmpty)
    }

    private func volumeKeys(of step: Step, _ run: BuildRun) -> [VolumeKey] {
        guard case .run(let operation) = step.operation else { return [] }
        return operation.mounts.compactMap { mount in
            guard case .cache(let cache) = mount.kind else { return nil }
            return VolumeKey(project: run.stored.request.project, id: cache.volumeID, platform: run.stored.platform)
        }
    }
}
