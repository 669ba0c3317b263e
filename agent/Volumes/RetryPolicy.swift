import FarmAPI

/// How long requests to the coordinator are repeated while it can't be reached: it may be starting again.
public struct RetryPolicy: Sendable {
    /// For what somebody waits for.
    public static let standard = RetryPolicy()

    /// Between the first two attempts; doubles up to ``longestPause``.
    var firstPause = Duration.milliseconds(100)
    var longestPause = Duration.seconds(5)
    /// For whoever can do something else then; nil for none.
    var patience: Duration? = .seconds(120)
    /// Nobody is to wait any more: the next failure is the last.
    var isOver: @Sendable () -> Bool = { false }

    /// Repeats the body while it throws what may pass. A refusal does not pass, nor does cancellation.
    public func run<T: Sendable>(_ body: @Sendable () async throws -> T) async throws -> T {
        let start = ContinuousClock.now
        var pause = firstPause
        while true {
            do {
                return try await body()
            } catch {
                try Task.checkCancellation()
                if let refusal = error as? RequestFailed, refusal.status < 500 { throw error }
                if isOver() { throw error }
                if let patience, ContinuousClock.now - start > patience { throw error }
                try await Task.sleep(for: pause)
                pause = min(pause * 2, longestPause)
            }
        }
    }
}
