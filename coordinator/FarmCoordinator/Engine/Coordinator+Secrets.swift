import FarmAPI

// Secrets: from the client's request to the step that mounts them, in memory alone.
extension Coordinator {
    /// How long an agent's question waits for the client before it is answered with "not yet": shorter than any client of HTTP waits.
    static let secretWait = Duration.seconds(20)

    /// Takes what the client has for a build, in place of what it sent before. Nothing is kept for a build that has ended.
    /// - Throws: ``EngineError/notFound(_:)``; ``EngineError/invalid(_:)`` for too many or too large ones.
    public func takeSecrets(_ secrets: BuildSecrets, of build: String, user: String) async throws {
        guard secrets.values.count <= BuildSecrets.countLimit else {
            throw EngineError.invalid("a build has at most \(BuildSecrets.countLimit) secrets, not \(secrets.values.count)")
        }
        for (id, value) in secrets.values.sorted(by: { $0.key < $1.key }) where value.count > BuildSecrets.valueLimit {
            throw EngineError.invalid("secret '\(id)' has \(value.count) bytes; at most \(BuildSecrets.valueLimit >> 10) KiB are taken")
        }
        guard let run = try await openBuild(build) else { return }
        guard run.stored.user == user else {
            throw EngineError.conflict("build \(build) is another user's: its secrets are not yours to give")
        }
        run.clientSeen = clock.monotonic()
        run.waitsForSecrets = false
        self.secrets[build] = secrets
        secretBell.ring(build, last: 1)
    }

    /// A secret for a step that is about to run on the agent. Waits a while for a client that has not sent any.
    public func secret(_ query: SecretQuery, from agent: String) async throws -> SecretAnswer {
        let entry = try leased(query.assignment, to: agent)
        guard let run = builds[entry.stored.build],
            run.stages[entry.stored.stage].plan.steps.contains(where: { $0.operation.secrets.contains(query.id) })
        else { throw EngineError.invalid("assignment \(query.assignment) has no step with the secret '\(query.id)'") }
        if secrets[run.id] == nil {
            if !run.waitsForSecrets {
                run.waitsForSecrets = true
                secretBell.open(run.id, last: 0)
                emit(.needsSecrets(ids: Set(run.stages.flatMap { $0.plan.steps.flatMap(\.operation.secrets) }).sorted()), run)
            }
            try await settle()
            await waitForSecrets(of: run.id)
        }
        _ = try leased(query.assignment, to: agent)
        guard let secrets = secrets[run.id] else { return .pending }
        return SecretAnswer(value: secrets.values[query.id])
    }

    private func waitForSecrets(of build: String) async {
        await withTaskGroup(of: Void.self) { [secretBell] group in
            group.addTask { await secretBell.wait(for: build, after: 0) }
            group.addTask { try? await Task.sleep(for: Self.secretWait) }
            _ = await group.next()
            group.cancelAll()
        }
    }

    /// The build has ended.
    func forgetSecrets(of build: String) {
        secrets[build] = nil
        secretBell.close(build)
    }
}
