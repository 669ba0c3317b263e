import BuildPlan

/// Sees when the wall clock was moved, by the monotonic one. A value: it is told what both show.
///
/// Leases and timeouts go by the monotonic clock and don't care. What is removed because it is old would go at once by a clock that is a
/// year ahead: so nothing does for a while after such a move.
struct ClockWatch {
    /// Seconds. Leap seconds and corrections are smaller; time zones are no part of this clock.
    static let tolerance = 3600.0
    /// Seconds that no process ran after which the clock is not believed at a start: longer than a coordinator is off in earnest.
    static let absence = 2 * 86_400.0

    private var offset: Double?
    private var distrustedSince: Double?

    /// The first look at the clocks.
    ///
    /// - Parameter remembered: what the wall clock showed when a process before last looked.
    /// - Returns: seconds that it may have been moved by; nil where it seems right.
    mutating func start(wall: Timestamp, monotonic: Double, remembered: Timestamp?) -> Double? {
        offset = Self.offset(wall, monotonic)
        guard let remembered else { return nil }
        let away = wall.seconds(since: remembered)
        guard away > Self.absence || away < -Self.tolerance else { return nil }
        distrustedSince = monotonic
        return away
    }

    /// A later look.
    /// - Returns: what it was moved by since the last one; nil where it was not.
    mutating func look(wall: Timestamp, monotonic: Double) -> Double? {
        let now = Self.offset(wall, monotonic)
        defer { offset = now }
        guard let offset, abs(now - offset) > Self.tolerance else { return nil }
        distrustedSince = monotonic
        return now - offset
    }

    /// Whether the wall clock has gone on without a jump for `seconds`.
    func isTrusted(monotonic: Double, for seconds: Double) -> Bool { distrustedSince.map { monotonic - $0 >= seconds } ?? true }

    private static func offset(_ wall: Timestamp, _ monotonic: Double) -> Double {
        wall.seconds(since: .epoch) - monotonic
    }
}
