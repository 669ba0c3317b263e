import BuildPlan
import FarmAPI
import Store

// Copies of heads, so that the loss of one machine loses no cache.
extension Coordinator {
    /// How often all volumes are looked at again, beside those of which something has changed: an agent may have been silent for too long.
    static let copySweep: Double = 30

    /// Orders what is to be copied now. The caller settles.
    func planCopies() {
        let now = clock.monotonic()
        if now - lastSweep >= Self.copySweep {
            lastSweep = now
            for volume in ledger.living { copies.suspect(volume.key) }
        }
        guard copies.hasSuspects else { return }
        let orders = copies.plan(
            agents: copyAgents(), holders: { volumeHolders[$0] ?? [] },
            head: { key in
                let head = ledger.head(of: key)
                return head > 0 ? (head, ledger.volumes[key]?.bytes ?? 0) : nil
            }, now: now, settings.copies)
        for order in orders {
            guard var holders = try? holders(of: order.key, for: order.agent), !holders.isEmpty else {
                copies.ended(order.key, on: order.agent, isDone: false, now: now, settings.copies)
                continue
            }
            // The others serve where it fails.
            if let source = holders.firstIndex(where: { $0.agent == order.source }) { holders.swapAt(0, source) }
            logger.debug(
                "a volume is copied",
                metadata: ["volume": "\(order.key.id)", "project": "\(order.key.project)", "to": "\(order.agent)"])
            send(.copyVolume(CopyOrder(key: order.key, generation: order.generation, holders: holders)), to: order.agent)
        }
    }

    func copyAgents() -> [VolumeCopies.Agent] {
        let now = clock.monotonic()
        var running: [String: Int] = [:]
        for entry in assignments.values { running[entry.stored.agent, default: 0] += 1 }
        return agentEntries.values.map { agent in
            VolumeCopies.Agent(
                name: agent.name, platform: agent.platform, isReachable: isReachable(agent), isConnected: agent.session != nil,
                isDraining: agent.stored.drained, silence: now - agent.lastHeard, running: running[agent.name, default: 0],
                freeBytes: agent.freeBytes, isTight: agent.tightUntil > now || troubles.isSetAside(agent.name), volumes: agent.volumes)
        }
    }

    /// What became of a copy.
    public func copied(_ outcome: CopyOutcome, from agent: String) async throws {
        guard agentEntries[agent] != nil else { throw EngineError.conflict("\(agent) has no session") }
        heard(from: agent)
        if outcome.generation > 0 { hold(HeldVolume(key: outcome.key, generation: outcome.generation), agent) }
        let ordered = copies.orders[outcome.key]
        let isDone = ordered.map { outcome.generation >= $0.generation } ?? (outcome.error == nil)
        copies.ended(outcome.key, on: agent, isDone: isDone, now: clock.monotonic(), settings.copies)
        careTotals.copiedBytes &+= max(0, outcome.received)
        if isDone {
            careTotals.copies += 1
        } else {
            careTotals.failedCopies += 1
            logger.warning(
                "a volume was not copied",
                metadata: [
                    "project": "\(outcome.key.project)", "volume": "\(outcome.key.id)", "to": "\(agent)",
                    "error": "\(outcome.error ?? "generation \(outcome.generation) is there")",
                ])
        }
        try await settle()
    }

    /// Agents that are there, not draining, and have the newest generation, by volume. Linear in what agents hold.
    func safeCopies() -> [VolumeKey: Int] {
        var copies: [VolumeKey: Int] = [:]
        for agent in agentEntries.values where isSafe(agent) {
            for (key, generation) in agent.volumes where generation == ledger.head(of: key) { copies[key, default: 0] += 1 }
        }
        return copies
    }

    func isSafe(_ agent: AgentEntry) -> Bool { isReachable(agent) && !agent.stored.drained }

    /// Heads that would be lost with the agent.
    func onlyHere(_ agent: AgentEntry, _ copies: [VolumeKey: Int]) -> Int {
        let own = isSafe(agent) ? 1 : 0
        return agent.volumes.count { key, generation in generation == ledger.head(of: key) && copies[key, default: 0] - own <= 0 }
    }
}

/// What has been done for volumes since the coordinator started, for `/metrics`.
struct CareTotals: Sendable {
    var copies = 0
    var failedCopies = 0
    var copiedBytes: Int64 = 0
    /// Volumes removed to keep within a quota.
    var removedForQuota = 0
    /// Copies that agents removed to have room.
    var removedForRoom = 0
}
