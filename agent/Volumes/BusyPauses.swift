/// The pauses of who was told by other agents that they are busy, and comes back: growing, and of random lengths, so that many who were
/// told so at once do not come back at once.
public struct BusyPauses: Sendable {
    public static let first = Duration.milliseconds(200)
    public static let longest = Duration.seconds(5)
    /// A holder that is busy for longer counts as one that can't give it. Below the lifetime of a grant (300 s).
    public static let patience = Duration.seconds(240)

    private let end: ContinuousClock.Instant
    private var pause = BusyPauses.first

    public init(patience: Duration = BusyPauses.patience) { end = .now + patience }

    /// Whether it is no use to come back once more.
    public var isOver: Bool { ContinuousClock.now >= end }

    /// Waits until it is time to ask again. Throws ``CancellationError``.
    public mutating func wait() async throws {
        try await Task.sleep(for: pause * Double.random(in: 0.5...1.5))
        pause = min(pause * 2, Self.longest)
    }
}
