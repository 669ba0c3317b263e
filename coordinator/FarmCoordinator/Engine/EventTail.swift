import Store

/// The newest events of a build, in order and without gaps: those who read along take them from here, and need no database.
struct EventTail {
    /// Bytes that a tail keeps. Some hundred lines of output: who is behind by more is not reading along.
    static let limit = 64 << 10

    /// Of the newest event that readers may see, whether it is here or not.
    private(set) var last: Int
    private(set) var bytes = 0
    /// Ends with `last`.
    private var lines: [EventLine] = []
    /// Those before are dropped: removed in bulk, so that dropping one does not move all others.
    private var first = 0

    init(last: Int) { self.last = last }

    /// Adds events that readers may see from now on. Those of an earlier group that arrive late are in the database: they are not added.
    mutating func append(_ added: [EventLine]) {
        guard let newest = added.last, newest.sequence > last else { return }
        if added.first?.sequence != last + 1 { clear() }
        lines += added
        bytes += added.reduce(0) { $0 + $1.json.count }
        last = newest.sequence
        while bytes > Self.limit, first < lines.count {
            bytes -= lines[first].json.count
            first += 1
        }
        if first * 2 > lines.count {
            lines.removeFirst(first)
            first = 0
        }
    }

    /// Keeps none.
    mutating func clear() {
        lines = []
        first = 0
        bytes = 0
    }

    /// The events after `sequence`; nil where some of them are in the database only.
    func events(after sequence: Int) -> [EventLine]? {
        if sequence >= last { return [] }
        let wanted = last - sequence
        guard wanted <= lines.count - first else { return nil }
        return Array(lines.suffix(wanted))
    }
}
