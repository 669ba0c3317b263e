import BuildPlan
import FarmAPI
import Store

/// A volume that an agent is verifying, for somebody who waits.
struct Verification {
    var key: VolumeKey
    var agent: String
    var continuation: AsyncStream<VolumeVerification>.Continuation
    /// How many of the same request are still to come, this one counted; shared by number.
    var request: Int
}

/// A holder of a volume that gave something else than it should.
struct Suspicion: Hashable {
    var key: VolumeKey
    var holder: String
}

// `farm volumes verify`
extension Coordinator {
    /// Has every holder of these volumes read what it has of them; the stream gives each one's findings as they come, and ends when all have
    /// answered or are lost.
    ///
    /// - Parameters:
    ///   - project: nil for all projects.
    ///   - id: nil for all of the project's volumes.
    /// - Throws: ``EngineError/notFound(_:)`` where there are none.
    public func verify(project: String?, id: String?) async throws -> AsyncStream<VolumeVerification> {
        let keys = ledger.current.map(\.key).filter { key in
            (project.map { $0 == key.project } ?? true) && (id.map { $0 == key.id } ?? true)
        }
        if keys.isEmpty, let project {
            throw EngineError.notFound(id.map { "project \(project) has no volume \($0)" } ?? "project \(project) has no volumes")
        }
        let (stream, continuation) = AsyncStream.makeStream(of: VolumeVerification.self)
        let request = newNumber()
        for key in keys { try order(key, request, continuation) }
        continuation.onTermination = { [weak self] _ in self?.enqueue(.forgetVerifications(request: request)) }
        endIfDone(request, continuation)
        try await settle()
        return stream
    }

    /// An agent was given something else than what the holder's manifest says: the holder reads what it has, and it is mended or given up.
    /// What the same holder has of the same volume is not read again for a while, whoever complains of it.
    public func suspect(_ volume: SuspectVolume, by agent: String) async throws {
        guard agentEntries[agent] != nil else { throw EngineError.conflict("\(agent) has no session") }
        heard(from: agent)
        guard let holder = agentEntries[volume.holder], holder.session != nil, isReachable(holder), holder.volumes[volume.key] != nil
        else { return }
        let now = clock.monotonic()
        suspicions = suspicions.filter { now - $0.value < Self.suspicionPause }
        let suspicion = Suspicion(key: volume.key, holder: volume.holder)
        guard suspicions[suspicion] == nil else { return }
        suspicions[suspicion] = now
        logger.error(
            "a holder gives what is not in its manifest, and verifies its volume",
            metadata: [
                "project": "\(volume.key.project)", "volume": "\(volume.key.id)", "agent": "\(volume.holder)", "seen by": "\(agent)",
                "reason": "\(volume.reason.prefix(Self.reasonLimit))",
            ])
        // Nobody waits for its findings, which are in the log.
        let (_, continuation) = AsyncStream.makeStream(of: VolumeVerification.self, bufferingPolicy: .bufferingNewest(0))
        try order(volume.key, at: holder, newNumber(), continuation)
        try await settle()
    }

    /// Reading a volume of many gigabytes takes minutes, and agents that find it damaged come back in seconds.
    private static let suspicionPause = 600.0
    /// Of what another agent says goes into the log.
    private static let reasonLimit = 500

    private func order(_ key: VolumeKey, _ request: Int, _ continuation: AsyncStream<VolumeVerification>.Continuation) throws {
        let holders = agents(holding: key).sorted { $0.name < $1.name }
        if holders.isEmpty {
            continuation.yield(Self.unverified(key, agent: "", generation: 0, "no agent has it"))
        }
        for agent in holders {
            guard agent.session != nil, isReachable(agent) else {
                continuation.yield(Self.unverified(key, agent: agent.name, generation: agent.volumes[key] ?? 0, "the agent is lost"))
                continue
            }
            try order(key, at: agent, request, continuation)
        }
    }

    private func order(
        _ key: VolumeKey, at agent: AgentEntry, _ request: Int, _ continuation: AsyncStream<VolumeVerification>.Continuation
    ) throws {
        // An agent may still be at work for a coordinator that was there before this one.
        let id = "\(newNumber())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        verifications[id] = Verification(key: key, agent: agent.name, continuation: continuation, request: request)
        try send(id, key, to: agent.name)
    }

    private func send(_ id: String, _ key: VolumeKey, to agent: String) throws {
        let holders = try holders(of: key, for: agent)
        send(.verifyVolume(VerifyOrder(id: id, key: key, head: ledger.head(of: key), holders: holders)), to: agent)
    }

    /// The agent has opened a session: another process has forgotten its orders, the same one may not have got them all.
    func resumeVerifications(of agent: String, isRestarted: Bool) {
        for (id, verification) in verifications where verification.agent == agent {
            if isRestarted || (try? send(id, verification.key, to: agent)) == nil {
                end(id, "the agent was restarted before it answered")
            }
        }
    }

    private func end(_ id: String, _ reason: String) {
        guard let verification = verifications.removeValue(forKey: id) else { return }
        let generation = agentEntries[verification.agent]?.volumes[verification.key] ?? 0
        verification.continuation.yield(Self.unverified(verification.key, agent: verification.agent, generation: generation, reason))
        endIfDone(verification.request, verification.continuation)
    }

    private static func unverified(_ key: VolumeKey, agent: String, generation: Int, _ reason: String) -> VolumeVerification {
        VolumeVerification(
            key: key, agent: agent,
            report: VerifyReport(
                id: "", generation: generation, left: generation, files: 0, bytes: 0, damage: [], outcome: .unverified, error: reason))
    }

    /// What an agent found.
    public func verified(_ report: VerifyReport, from agent: String) async throws {
        guard agentEntries[agent] != nil else { throw EngineError.conflict("\(agent) has no session") }
        heard(from: agent)
        guard let verification = verifications[report.id], verification.agent == agent else { return }
        verifications[report.id] = nil
        let key = verification.key
        // A step had it, or who could give what is right was busy: whoever comes next finds it damaged again, and has it looked at again.
        if report.outcome == .damaged { suspicions[Suspicion(key: key, holder: agent)] = nil }
        if report.outcome == .dropped || report.outcome == .repaired {
            if report.left > 0 { hold(HeldVolume(key: key, generation: report.left), agent) } else { drop(volume: key, agent) }
            logger.error(
                "a damaged volume was \(report.outcome.rawValue)",
                metadata: ["project": "\(key.project)", "volume": "\(key.id)", "agent": "\(agent)", "damage": "\(report.damage.count)"])
            if report.outcome == .dropped { forgetIfGone(key, reason: "what \(agent) had of it was damaged, and no other agent had it") }
        }
        verification.continuation.yield(VolumeVerification(key: key, agent: agent, report: report))
        endIfDone(verification.request, verification.continuation)
        try await settle()
    }

    /// The agents that are gone will not answer. Called by the tick.
    func expireVerifications() {
        for (id, verification) in verifications {
            // Without a session it may open the next one.
            if let agent = agentEntries[verification.agent], isReachable(agent) { continue }
            end(id, "the agent was lost before it answered")
        }
    }

    /// Nobody waits for them any more. The next tick settles.
    func forgetVerifications(request: Int) {
        for (id, verification) in verifications where verification.request == request {
            verifications[id] = nil
            send(.cancelVerify(id), to: verification.agent)
        }
    }

    private func endIfDone(_ request: Int, _ continuation: AsyncStream<VolumeVerification>.Continuation) {
        if !verifications.values.contains(where: { $0.request == request }) { continuation.finish() }
    }
}
