import BuildPlan
import Daemon
import FarmAPI
import Store

// What goes when projects or disks have too much.
extension Coordinator {
    /// Removals that one request may ask for: an agent has more to say in the next.
    static let maximumCandidates = 100_000

    /// Removes what is above the quotas of projects of which something has changed. The caller settles.
    func keepQuotas() {
        guard !quotaSuspects.isEmpty else { return }
        var volumes: [String: [StoredVolume]] = [:]
        for volume in ledger.living where quotaSuspects.contains(volume.key.project) {
            volumes[volume.key.project, default: []].append(volume)
        }
        for project in quotaSuspects.sorted() {
            let own = volumes[project] ?? []
            let excess = settings.quotas.excess(project, own) { locks.isInUse($0) }
            for volume in excess { removeForQuota(volume) }
            // What is in use goes later, if the project is still above its quota then.
            let removed = Set(excess.map(\.key))
            if !own.contains(where: { !removed.contains($0.key) && locks.isInUse($0.key) }) { quotaSuspects.remove(project) }
        }
    }

    private func removeForQuota(_ volume: StoredVolume) {
        let key = volume.key
        let limit = settings.quotas.limit(of: key.project) ?? 0
        let quota = "project \(key.project) has a quota of \(ByteCount.format(limit))"
        let reason = volume.bytes > limit ? "it was larger than that by itself: \(quota)" : quota
        remove(volume: key, reason: "it was removed, for \(reason)")
        careTotals.removedForQuota += 1
        let text = "volume \(key.id) (\(ByteCount.format(volume.bytes))) was removed: \(reason)"
        logger.notice("\(text)", metadata: ["project": "\(key.project)", "volume": "\(key.id)"])
        for run in builds.values where run.isOpen && run.stored.request.project == key.project { emit(.warning(text: text), run) }
    }

    /// Ends the volume's history, here and on all its holders.
    ///
    /// - Parameter reason: a sentence for the next step that finds it empty.
    func remove(volume key: VolumeKey, reason: String) {
        guard let volume = ledger.remove(key) else { return }
        outbox.append(.put(volume))
        removalReasons[key] = reason
        for agent in agents(holding: key) {
            drop(volume: key, agent.name)
            // Agents that are away hear of it when they come back and say that they have it.
            send(.dropVolume(key, upTo: volume.removed), to: agent.name)
        }
    }

    /// An agent's disk is fuller than it shall be: which of its volumes may go?
    ///
    /// Those first of which another agent that is there has as new a generation, and of each kind those first that no step has used for the
    /// longest time. A last copy stays while a step anywhere has the volume, waits for it or brings it; and while another agent can be given
    /// it, which it is then at once, unless the disk is full. The agent does not count as their holder any more, so that no other gives up
    /// its copy for the same reason.
    public func collect(_ request: CollectVolumes, from agent: String) async throws -> CollectAnswer {
        guard let entry = agentEntries[agent] else { throw EngineError.conflict("\(agent) has no session") }
        guard request.candidates.count <= Self.maximumCandidates else {
            throw EngineError.invalid("at most \(Self.maximumCandidates) volumes at a time")
        }
        heard(from: agent)
        agentEntries[agent]?.tightUntil = clock.monotonic() + settings.copies.tight
        let sorted = request.candidates.filter { !locks.isInUse($0.key, by: agent) }.map { candidate in
            (
                candidate: candidate, isSpare: isSpare(candidate.key, on: entry),
                lastUse: ledger.volumes[candidate.key]?.lastUse ?? Timestamp(nanoseconds: 0)
            )
        }.sorted { a, b in
            (a.isSpare ? 0 : 1, a.lastUse, a.candidate.key.project, a.candidate.key.id)
                < (b.isSpare ? 0 : 1, b.lastUse, b.candidate.key.project, b.candidate.key.id)
        }
        var freed: Int64 = 0
        var answer = CollectAnswer(volumes: [])
        for (candidate, isSpare, _) in sorted {
            guard freed < request.bytes else { break }
            if isSpare ? isSource(agent, of: candidate.key) : (!request.lastCopies || isWanted(candidate.key)) { continue }
            let bytes = max(0, candidate.bytes)
            // Also of what will be free in a while: nothing else has to be lost for it.
            freed = freed.addingReportingOverflow(bytes).overflow ? .max : freed + bytes
            if !isSpare, request.isFull != true, staysUntilCopied(candidate.key, on: entry) {
                answer.awaited = (answer.awaited ?? 0).addingReportingOverflow(bytes).partialValue
                continue
            }
            answer.volumes.append(candidate.key)
            drop(volume: candidate.key, agent)
            careTotals.removedForRoom += 1
            if !isSpare { forgetIfGone(candidate.key, reason: "the disk of \(agent) was too full, and no other agent had it") }
        }
        if answer.awaited != nil { planCopies() }
        try await settle()
        return answer
    }

    /// Whether a last copy is to be had by another agent soon. An older generation than the head can't be copied.
    private func staysUntilCopied(_ key: VolumeKey, on agent: AgentEntry) -> Bool {
        guard let volume = ledger.volumes[key], agent.volumes[key] == ledger.head(of: key) else { return false }
        return copies.holdsBack(key, bytes: volume.bytes, agents: copyAgents(), now: clock.monotonic(), settings.copies)
    }

    /// Nobody has any generation of it any more: its next use starts empty.
    func forgetIfGone(_ key: VolumeKey, reason: String) {
        guard volumeHolders[key] == nil, let volume = ledger.remove(key) else { return }
        outbox.append(.put(volume))
        removalReasons[key] = reason
        logger.warning("a volume is no more: \(reason)", metadata: ["project": "\(key.project)", "volume": "\(key.id)"])
    }

    /// Whether a step anywhere has the volume, waits for it or brings it.
    private func isWanted(_ key: VolumeKey) -> Bool {
        locks.isInUse(key) || assignments.values.contains { $0.brings.contains(key) }
    }

    /// Whether nothing is lost with this agent's copy.
    private func isSpare(_ key: VolumeKey, on agent: AgentEntry) -> Bool {
        guard let own = agent.volumes[key], ledger.isCurrent(HeldVolume(key: key, generation: own)) else { return true }
        return agents(holding: key).contains { other in
            other.name != agent.name && isSafe(other) && (other.volumes[key] ?? 0) >= own
        }
    }

    /// Somebody is copying it from there.
    private func isSource(_ agent: String, of key: VolumeKey) -> Bool {
        guard let order = copies.orders[key], order.agent != agent else { return false }
        return agentEntries[agent]?.volumes[key] != nil
    }
}
