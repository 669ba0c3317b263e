import FarmAPI
import Logging
import Volumes

/// Obeys the coordinator's orders to verify volumes, one after the other: each reads as fast as the disk gives.
public actor VolumeVerifier {
    private let verify: @Sendable (VerifyOrder) async -> VerifyReport
    private let post: @Sendable (VerifyOrder, VerifyReport) async throws -> Void
    private let logger: Logger
    private var last: Task<Void, Never>?
    /// What is being done or waits, by the order's id.
    private var tasks: [String: Task<Void, Never>] = [:]

    /// - Parameters:
    ///   - verify: ends early, with any report, when its task is cancelled.
    ///   - post: tells the coordinator; repeated while it can't be reached.
    public init(
        verify: @escaping @Sendable (VerifyOrder) async -> VerifyReport,
        post: @escaping @Sendable (VerifyOrder, VerifyReport) async throws -> Void, logger: Logger
    ) {
        self.verify = verify
        self.post = post
        self.logger = logger
    }

    /// Returns at once. An order that is given again, because the connection was lost, changes nothing.
    public func obey(_ order: VerifyOrder) {
        guard tasks[order.id] == nil else { return }
        let earlier = last
        let task = Task {
            await earlier?.value
            await work(order)
            tasks[order.id] = nil
        }
        tasks[order.id] = task
        last = task
    }

    /// Nobody waits for it any more.
    public func cancel(_ id: String) { tasks[id]?.cancel() }

    private func work(_ order: VerifyOrder) async {
        guard !Task.isCancelled else { return }
        let report = await verify(order)
        guard !Task.isCancelled else { return }
        do {
            try await RetryPolicy.standard.run { [post] in try await post(order, report) }
        } catch {
            // Who waits for it hears that the agent did not answer, when this agent is lost or was restarted.
            logger.warning("a verification was not told", metadata: ["volume": "\(order.key.id)", "error": "\(error)"])
        }
    }
}
