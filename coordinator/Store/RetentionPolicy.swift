import BuildPlan

/// For how long what has ended is kept.
public struct RetentionPolicy: Sendable, Hashable {
    /// Builds that ended before go, with all that belongs to them.
    public var buildsBefore: Timestamp
    /// Of builds that ended before, what their steps printed goes.
    public var logsBefore: Timestamp
    /// Bytes of all logs; those of the builds that ended first go first. nil for no limit.
    public var logBytes: Int64?
    /// Records made before go where nobody has their layers any more, and digests of selections in any case: they are made again.
    public var recordsBefore: Timestamp

    /// A policy.
    public init(buildsBefore: Timestamp, logsBefore: Timestamp, logBytes: Int64?, recordsBefore: Timestamp) {
        self.buildsBefore = buildsBefore
        self.logsBefore = logsBefore
        self.logBytes = logBytes
        self.recordsBefore = recordsBefore
    }
}

/// What was removed.
public struct RetentionOutcome: Sendable, Hashable {
    public var builds = 0
    public var logs = 0
    public var records = 0
    public var selections = 0

    /// Nothing.
    public init() {}
    /// True where nothing was removed.
    public var isEmpty: Bool { self == RetentionOutcome() }
}
