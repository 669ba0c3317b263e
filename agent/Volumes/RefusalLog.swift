import Logging
import Synchronization

/// Lines in the log for what other agents asked in vain, because it is against the protocol or they have no right to it. Who asks in a loop
/// must not fill the log.
final class RefusalLog: Sendable {
    private let logger: Logger
    private let pause: Duration
    private let last = Mutex<[String: ContinuousClock.Instant]>([:])

    /// For each peer.
    static let pause = Duration.seconds(10)
    /// Of what a peer's words or path are in the line.
    private static let longest = 300

    init(_ logger: Logger, pause: Duration = RefusalLog.pause) {
        self.logger = logger
        self.pause = pause
    }

    /// - Parameters:
    ///   - peer: the name of its certificate.
    ///   - request: what it asked.
    func note(_ peer: String, _ request: String, reason: String) {
        let isNew = last.withLock { last in
            let now = ContinuousClock.now
            if let before = last[peer], now - before < pause { return false }
            last = last.filter { now - $0.value < pause }
            last[peer] = now
            return true
        }
        guard isNew else { return }
        logger.warning(
            "refused what another agent asked",
            metadata: [
                "peer": "\(peer.prefix(Self.longest))", "request": "\(request.prefix(Self.longest))",
                "reason": "\(reason.prefix(Self.longest))",
            ])
    }
}
