import FarmAPI

/// How a command behaves whose coordinator has gone away in the middle: it tries again, says so once, and gives up after a while.
struct Reconnection: Sendable {
    /// A restart takes seconds, an upgrade minutes.
    static let limit: Duration = .seconds(300)
    /// Milliseconds between attempts: drawn anew each time, so that the clients of a farm do not come back all at once.
    static let pause = 300...900

    private var lostSince: ContinuousClock.Instant?
    private var told = ""

    /// It is there again, though it may have nothing new to say.
    mutating func reached() { lostSince = nil }

    /// The coordinator has answered; when it is lost again, that is news.
    mutating func succeeded() {
        lostSince = nil
        told = ""
    }

    /// Waits before the next attempt.
    ///
    /// - Parameters:
    ///   - error: why this one failed; nil where the answer ended too early.
    ///   - note: given what to say, when there is something new to say.
    /// - Throws: the error, where trying again can't help; ``ClientError`` with `otherwise` after ``limit``; `CancellationError`.
    mutating func wait(after error: (any Error)?, otherwise: String, note: (String) async -> Void) async throws {
        try Task.checkCancellation()
        if let error, !ClientError.isTransient(error) { throw error }
        let text: String
        // It is there, and says what is wrong: a disk that is full, for instance.
        if let refused = error as? RequestFailed {
            text = "\(refused.message); trying again"
        } else {
            text = "the connection to the coordinator was lost; connecting again"
        }
        if text != told, told.isEmpty || error is RequestFailed { await note(text) }
        told = text
        let now = ContinuousClock.now
        let since = lostSince ?? now
        lostSince = since
        guard now - since < Self.limit else {
            if let refused = error as? RequestFailed { throw refused }
            throw ClientError.failed("the coordinator did not come back; \(otherwise)")
        }
        try await Task.sleep(for: .milliseconds(Int.random(in: Self.pause)))
    }
}
