import BuildPlan
import Digests
import FarmAPI
import Store

extension Coordinator {
    /// A step has at most so many volumes.
    static let maximumNeeds = 256

    /// Waits until all volumes are granted at once. Cancelling the task leaves the request in its place: the same `lock` asks again.
    /// - Throws: ``EngineError/conflict(_:)`` when the assignment is not the agent's (any more).
    public func acquire(_ request: AcquireVolumes, from agent: String) async throws -> VolumesAcquired {
        let entry = try leased(request.assignment, to: agent)
        try check(request, project: builds[entry.stored.build]?.stored.request.project)
        if let owner = locks.owner(of: request.lock) {
            guard owner == (request.assignment, agent) else { throw EngineError.conflict("lock \(request.lock) is another step's") }
        } else {
            lockBell.open(request.lock, last: 0)
            granted(
                locks.ask(
                    VolumeLocks.Request(lock: request.lock, assignment: request.assignment, agent: agent, needs: request.needs)))
            assignments[request.assignment]?.brings.subtract(request.needs.map(\.key))
            if locks.grantedRequest(request.lock) == nil {
                sayWaiting(request)
                pause(request.assignment)
            }
        }
        while true {
            try await settle()
            if let granted = locks.grantedRequest(request.lock) {
                return VolumesAcquired(volumes: try volumes(granted.needs, forks: granted.forks, for: agent))
            }
            _ = try leased(request.assignment, to: agent)
            guard locks.owner(of: request.lock) != nil else { throw EngineError.conflict("lock \(request.lock) was given back") }
            await lockBell.wait(for: request.lock, after: 0)
            try Task.checkCancellation()
        }
    }

    /// The state of the volumes without any lock.
    public func locateVolumes(_ request: AcquireVolumes, from agent: String) async throws -> VolumesAcquired {
        let entry = try leased(request.assignment, to: agent)
        try check(request, project: builds[entry.stored.build]?.stored.request.project)
        assignments[request.assignment]?.brings.formUnion(request.needs.map(\.key))
        return VolumesAcquired(volumes: try volumes(request.needs, forks: request.needs.map { _ in false }, for: agent))
    }

    /// A delta becomes the next generation, or the agent hears that it is behind.
    public func publish(_ volume: PublishVolume, from agent: String) async throws -> PublishAnswer {
        guard agentEntries[agent] != nil else { throw EngineError.conflict("\(agent) has no session") }
        heard(from: agent)
        switch ledger.publish(volume, at: clock.now(), isHeld: mayPublish(volume, agent)) {
        case .accepted(let stored):
            outbox.append(.put(stored))
            removalReasons[volume.key] = nil
            quotaSuspects.insert(volume.key.project)
            hold(HeldVolume(key: volume.key, generation: stored.head), agent)
            try await settle()
            return .accepted(generation: stored.head)
        case .known(let generation):
            hold(HeldVolume(key: volume.key, generation: generation), agent)
            try await settle()
            return .accepted(generation: generation)
        case .behind(let head): return .behind(head: head, holders: try holders(of: volume.key, for: agent))
        case .gone: return .gone
        case .stale:
            logger.warning(
                "a volume of which the agent's steps have no lock, or no longer, is not published",
                metadata: ["agent": "\(agent)", "project": "\(volume.key.project)", "volume": "\(volume.key.id)"])
            return .stale
        }
    }

    /// Only what a step has or had may be published: whoever is behind gets grants for the volume.
    ///
    /// The last step that used the mount publishes what all wrote to it, before it gives its own lock back. An agent that was out of reach for
    /// longer than its lease may come back with what a step wrote that thought it was alone, which is refused, or with what a step wrote that
    /// shared the volume anyway.
    private func mayPublish(_ volume: PublishVolume, _ agent: String) -> Bool {
        if locks.isGranted(volume.key, to: agent, under: volume.lock) { return true }
        return volume.lock == nil && formerLocks.values.contains { $0.agent == agent && $0.shared.contains(volume.key) }
    }

    /// Gives the locks back; no error when they are gone already.
    public func release(_ request: ReleaseVolumes, from agent: String) async throws {
        heard(from: agent)
        if let owner = locks.owner(of: request.lock) {
            guard owner.agent == agent else { throw EngineError.conflict("lock \(request.lock) is not \(agent)'s") }
            giveBack(request.lock)
        }
        if formerLocks[request.lock]?.agent == agent { formerLocks[request.lock] = nil }
        try await settle()
    }

    /// All volumes, by project and id.
    public func volumes() async -> [VolumeDescription] {
        return ledger.current.map { volume in
            let agents = agents(holding: volume.key)
            let holders = agents.compactMap { agent in
                agent.volumes[volume.key].map { VolumeDescription.Holder(agent: agent.name, generation: $0) }
            }
            var description = VolumeDescription(
                project: volume.key.project, id: volume.key.id, platform: volume.key.platform, generation: volume.head,
                bytes: volume.bytes, files: volume.files, holders: holders.sorted { $0.agent < $1.agent })
            description.copies = agents.count { isSafe($0) && $0.volumes[volume.key] == volume.head }
            description.lastUsed = volume.lastUse == Timestamp(nanoseconds: 0) ? nil : volume.lastUse
            description.changedAt = volume.publications.last?.time
            description.inUse = locks.isInUse(volume.key)
            return description
        }
    }

    /// Removes the volume for all platforms, here and on all its holders.
    /// - Throws: ``EngineError/conflict(_:)`` while a step has it or waits for it, ``EngineError/notFound(_:)``.
    public func removeVolume(project: String, id: String) async throws {
        let keys = ledger.current.map(\.key).filter { $0.project == project && $0.id == id }
        guard !keys.isEmpty else { throw EngineError.notFound("project \(project) has no volume \(id)") }
        if keys.contains(where: { locks.isInUse($0) }) {
            throw EngineError.conflict("a step uses volume \(id) of project \(project) now: wait until it has ended, or cancel its build")
        }
        for key in keys { remove(volume: key, reason: "it was removed by 'farm volumes rm'") }
        try await settle(patiently: false)
    }

    /// Gives a lock, or a place in the queue, back; whoever waited may have what it had.
    func giveBack(_ lock: String) {
        let hadIt = locks.grantedRequest(lock) != nil
        let owner = locks.owner(of: lock)
        let next = locks.release(lock)
        if hadIt { outbox.append(.removeLock(lock)) } else if let owner { resume(owner.assignment) }
        lockBell.close(lock)
        granted(next)
    }

    /// In the step's output: who looks at it would wonder why nothing happens.
    private func sayWaiting(_ request: AcquireVolumes) {
        guard let entry = assignments[request.assignment], let run = builds[entry.stored.build] else { return }
        let stage = entry.stored.stage
        guard let step = run.stages[stage].steps.firstIndex(where: { $0.status == .running }) else { return }
        let volumes = Set(request.needs.map(\.key.id)).sorted().joined(separator: ", ")
        emit(.log(stage: stage, step: step, text: "waits for volume \(volumes): others have it, or came first\n"), run)
    }

    /// A step that waits for a lock holds no slot: its agent may have other work meanwhile.
    private func pause(_ assignment: String) {
        guard let entry = assignments[assignment], entry.waitsSince == nil else { return }
        assignments[assignment]?.waitsSince = clock.monotonic()
        scheduler.pause(Self.stageID(of: entry.stored), clock.monotonic())
        schedule()
    }

    private func resume(_ assignment: String) {
        guard let entry = assignments[assignment], entry.waitsSince != nil else { return }
        assignments[assignment]?.waitsSince = nil
        scheduler.resume(Self.stageID(of: entry.stored), clock.monotonic())
    }

    private static func stageID(of assignment: StoredAssignment) -> String { "\(assignment.build)-\(assignment.stage)" }

    private func granted(_ requests: [VolumeLocks.Request]) {
        for request in requests {
            outbox.append(
                .put(
                    StoredLock(
                        lock: request.lock, assignment: request.assignment, agent: request.agent, needs: request.needs, forks: request.forks
                    )))
            let now = clock.now()
            for key in Set(request.needs.map(\.key)) where ledger.used(key, at: now) { outbox.append(.setLastUse(now, of: key)) }
            resume(request.assignment)
            warnOfLostHeads(request)
            // Who waits settles before it answers.
            lockBell.ring(request.lock, last: 1)
        }
    }

    private func check(_ request: AcquireVolumes, project: String?) throws {
        guard !request.lock.isEmpty, request.lock.utf8.count <= Self.maximumProjectName, request.needs.count <= Self.maximumNeeds else {
            throw EngineError.invalid("a lock has a name and at most \(Self.maximumNeeds) volumes")
        }
        guard request.needs.allSatisfy({ $0.key.project == project }) else {
            throw EngineError.invalid("a step gets volumes of its own project only")
        }
    }

    private func volumes(_ needs: [AcquireVolumes.Need], forks: [Bool], for agent: String) throws -> [VolumesAcquired.Volume] {
        try zip(needs, forks).map { need, fork in
            VolumesAcquired.Volume(head: ledger.head(of: need.key), holders: try holders(of: need.key, for: agent), fork: fork)
        }
    }

    func holders(of key: VolumeKey, for agent: String) throws -> [Holder] {
        try holders((volumeHolders[key] ?? []).filter { $0 != agent }, of: Grant.object(of: key), for: agent) { $0.volumes[key] }
    }

    // The newest generation that can be had serves; the build says so. Also that there was a volume, and is none now.
    private func warnOfLostHeads(_ request: VolumeLocks.Request) {
        guard let entry = assignments[request.assignment], let run = builds[entry.stored.build] else { return }
        for key in Set(request.needs.map(\.key)) {
            let head = ledger.head(of: key)
            guard head > 0 else {
                guard let volume = ledger.volumes[key], volume.removed > 0 else { continue }
                emit(.warning(text: "volume \(key.id) starts empty: \(removalReasons[key] ?? "it was removed")"), run)
                continue
            }
            let newest = agents(holding: key).filter { isReachable($0) }.compactMap { $0.volumes[key] }.max() ?? 0
            guard newest < head else { continue }
            let instead = newest > 0 ? "generation \(newest) is used" : "it starts empty"
            emit(.warning(text: "volume \(key.id): no agent that has generation \(head) is there; \(instead)"), run)
        }
    }
}
