import FarmAPI
import Logging
import NIOCore
import Synchronization
import Transport

/// The agent's stream of commands: opened, read, opened again when it breaks.
public struct CoordinatorSession: Sendable {
    /// The coordinator sends a ping every few seconds; a silence of this length means that the connection is dead.
    static let silenceLimit = Duration.seconds(15)

    let api: APIClient
    let logger: Logger
    /// Everything that is here now.
    let hello: @Sendable () async -> AgentHello
    let handle: @Sendable (AgentCommand) async -> Void

    /// - Parameters:
    ///   - hello: asked for what is here at each opening.
    ///   - handle: called for each command, one after the other.
    public init(
        api: APIClient, logger: Logger, hello: @escaping @Sendable () async -> AgentHello,
        handle: @escaping @Sendable (AgentCommand) async -> Void
    ) {
        self.api = api
        self.logger = logger
        self.hello = hello
        self.handle = handle
    }

    /// Runs until the task is cancelled.
    public func run() async {
        var backoff = Backoff()
        var lastReason = ""
        while !Task.isCancelled {
            let began = ContinuousClock.now
            do {
                try await session()
                lastReason = ""
                logger.notice("the coordinator ended the session")
            } catch {
                if Task.isCancelled { return }
                // The same reason again and again would only fill the log.
                let reason = "\(error)"
                if reason != lastReason {
                    logger.warning("no session with the coordinator; trying again", metadata: ["error": "\(reason)"])
                }
                lastReason = reason
            }
            if ContinuousClock.now - began > Self.silenceLimit { backoff.reset() }
            try? await Task.sleep(for: backoff.next())
        }
    }

    /// One session to its end.
    private func session() async throws {
        let body = try FarmJSON.encode(await hello())
        let commands = try await api.lines(
            AgentCommand.self, "POST", "/api/v1/agent/session", body: .bytes(ByteBuffer(bytes: body)))
        let lastHeard = Moment()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for try await command in commands {
                    lastHeard.note()
                    await handle(command)
                }
            }
            group.addTask {
                while true {
                    try await Task.sleep(for: .seconds(1))
                    guard lastHeard.age < Self.silenceLimit else { throw TransportError.deadlineExceeded }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

/// When something happened last.
private final class Moment: Sendable {
    private let time = Mutex(ContinuousClock.now)
    func note() { time.withLock { $0 = .now } }
    var age: Duration { ContinuousClock.now - time.withLock { $0 } }
}
