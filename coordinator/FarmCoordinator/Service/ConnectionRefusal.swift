import Logging
import Synchronization
import Transport

/// What is told to those who come when the coordinator has as many connections as it takes.
struct ConnectionRefusal: Sendable {
    /// The log says it at most so often.
    private static let logInterval = Duration.seconds(60)

    private let limit: Int
    private let log: Logger
    private let lastLogged = Logged()

    private final class Logged: Sendable {
        let time = Mutex<ContinuousClock.Instant?>(nil)
    }

    init(limit: Int, log: Logger) {
        self.limit = limit
        self.log = log
    }

    func response(to request: ServerRequest) -> ServerResponse {
        let now = ContinuousClock.now
        let isDue = lastLogged.time.withLock { last in
            if let last, now - last < Self.logInterval { return false }
            last = now
            return true
        }
        if isDue {
            log.warning(
                "connections are refused: there are as many as max-connections allows",
                metadata: ["max-connections": "\(limit)", "from": "\(request.remoteAddress)"])
        }
        let whom = request.peer == nil ? "\(limit / 2) without a certificate" : "\(limit)"
        return RouteError.unavailable(
            "the coordinator has as many connections as it takes (\(whom)): try again later, or raise its setting max-connections"
        ).response
    }
}
