import BlockingIO
import BuildPlan
import FarmAPI
import Sandbox

extension StageRun {
    /// How long a step waits for a client that has not sent its secrets: as long as a build waits for the files of its context.
    private static let secretPatience = Duration.seconds(600)
    /// Between two questions, beside what the coordinator waits itself.
    private static let secretPause = Duration.milliseconds(500)

    /// The secrets of a step, by their ids.
    struct Secrets: Sendable {
        var values: [String: [UInt8]] = [:]
    }

    /// Asks the coordinator for the step's secrets.
    func secrets(of run: RunOperation) async throws -> Secrets {
        var secrets = Secrets()
        for mount in run.mounts {
            guard case .secret(let secret) = mount.kind, secrets.values[secret.id] == nil else { continue }
            if let value = try await value(ofSecret: secret.id) {
                secrets.values[secret.id] = value
            } else if secret.required {
                throw StepFailure(
                    message:
                        "the step needs the secret '\(secret.id)', and none was given: submit with --secret id=\(secret.id),src=FILE or "
                        + "--secret id=\(secret.id),env=NAME")
            }
        }
        return secrets
    }

    private func value(ofSecret id: String) async throws -> [UInt8]? {
        let limit = ContinuousClock.now + Self.secretPatience
        while ContinuousClock.now < limit {
            do {
                let answer = try await services.api.post(
                    SecretAnswer.self, "/api/v1/agent/secrets", SecretQuery(assignment: assignment.id, id: id))
                if answer.known { return answer.bytes }
            } catch let error as RequestFailed where error.status < 500 {
                throw error
            } catch  where !Task.isCancelled {
                // The coordinator is away. It comes back without the secrets, and asks the client again.
                services.logger.debug("no answer about a secret", metadata: ["error": "\(error)"])
            }
            try await Task.sleep(for: Self.secretPause)
        }
        throw StepFailure(
            message:
                "the secret '\(id)' did not arrive within \(Self.secretPatience.components.seconds / 60) min: secrets are kept in memory "
                + "only, and the client that has them is gone; submit the build again")
    }

    /// A secret as a file in memory, until the scope's end.
    func file(of secret: SecretMount, value: [UInt8], in scope: StepScope) async throws -> StepSpec.Mount.Source {
        let memory = try services.memory.get()
        let name = "secret-\(services.number())"
        let path = try await BlockingPool.shared.run {
            try memory.write(value, name: name, mode: secret.mode, uid: secret.uid, gid: secret.gid)
        }
        scope.atEnd { memory.remove(name) }
        return .path(path)
    }

    /// `NAME=value`
    static func variable(_ name: String, _ secret: SecretMount, value: [UInt8]) throws -> String {
        guard !value.contains(0), let text = String(validating: value, as: UTF8.self) else {
            throw StepFailure(message: "the secret '\(secret.id)' can't be the variable \(name): it is no UTF-8 text without NUL")
        }
        return "\(name)=\(text)"
    }
}
