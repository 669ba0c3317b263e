import FarmAPI
import Logging

/// Tells the coordinator at its interval that this agent lives and what it runs.
public actor Heartbeats {
    static let deadline = Duration.seconds(10)
    /// What the coordinator asks for is kept within reason.
    private static let bounds = 0.2...60.0

    private let logger: Logger
    private let beat: @Sendable () async throws -> Void
    private var task: Task<Void, Never>?

    /// - Parameter beat: says it once.
    public init(logger: Logger, beat: @escaping @Sendable () async throws -> Void) {
        self.logger = logger
        self.beat = beat
    }

    /// Begins, or goes on at another interval (seconds).
    public func start(every interval: Double) {
        task?.cancel()
        let pause = Duration.seconds(min(max(interval, Self.bounds.lowerBound), Self.bounds.upperBound))
        task = Task { [beat, logger] in
            while !Task.isCancelled {
                do { try await beat() } catch { logger.debug("no heartbeat", metadata: ["error": "\(error)"]) }
                try? await Task.sleep(for: pause)
            }
        }
    }

    /// Ends.
    public func stop() {
        task?.cancel()
        task = nil
    }
}
