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

    private func order(_ key: VolumeKey, _ request: Int, _ continuation: AsyncStream<VolumeVerification>.Continuation) throws {
        let holders = agentEntries.values.filter { $0.volumes[key] != nil }.sorted { $0.name < $1.name }
        if holders.isEmpty {
            continuation.yield(Self.unverified(key, agent: "", generation: 0, "no agent has it"))
        }
        for agent in holders {
            guard agent.session != nil, isReachable(agent) else {
                continuation.yield(Self.unverified(key, agent: agent.name, generation: agent.volumes[key] ?? 0, "the agent is lost"))
                continue
            }
            let number = newNumber()
            verifications["\(number)"] = Verification(key: key, agent: agent.name, continuation: continuation, request: request)
            send(
                .verifyVolume(
                    VerifyOrder(
                        id: "\(number)", key: key, head: ledger.head(of: key), holders: try self.holders(of: key, for: agent.name))),
                to: agent.name)
        }
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
            let agent = agentEntries[verification.agent]
            if let agent, agent.session != nil, isReachable(agent) { continue }
            verifications[id] = nil
            verification.continuation.yield(
                Self.unverified(
                    verification.key, agent: verification.agent, generation: agent?.volumes[verification.key] ?? 0,
                    "the agent was lost before it answered"))
            endIfDone(verification.request, verification.continuation)
        }
    }

    /// Nobody waits for them any more.
    func forgetVerifications(request: Int) {
        for (id, verification) in verifications where verification.request == request { verifications[id] = nil }
    }

    private func endIfDone(_ request: Int, _ continuation: AsyncStream<VolumeVerification>.Continuation) {
        if !verifications.values.contains(where: { $0.request == request }) { continuation.finish() }
    }
}
