/// How many connections of which kind a server has, and what becomes of a new one.
struct ConnectionCounts {
    /// A connection is counted as one of these at a time.
    enum Kind {
        /// Not known yet, or refused: lasts for a moment.
        case passing
        /// Showed a certificate of the farm.
        case known
        /// Showed none.
        case stranger
    }

    private let limit: Int
    private(set) var passing = 0
    private(set) var known = 0
    private(set) var strangers = 0

    init(limit: Int) { self.limit = limit }

    /// A connection was accepted; false where so many have not said who they are that it must be dropped at once.
    mutating func accept() -> Bool {
        guard passing < TransportLimits.passingConnections else { return false }
        passing += 1
        return true
    }

    /// The handshake of a connection is done: what it is from now on. It stays in passing where it is to be refused.
    mutating func admit(hasCertificate: Bool) -> Kind {
        // Whoever shows no certificate can never take so many that agents find no room.
        guard known + strangers < limit, hasCertificate || strangers < max(1, limit / 2) else { return .passing }
        passing -= 1
        if hasCertificate { known += 1 } else { strangers += 1 }
        return hasCertificate ? .known : .stranger
    }

    /// A connection is gone.
    mutating func remove(_ kind: Kind) {
        switch kind {
        case .passing: passing -= 1
        case .known: known -= 1
        case .stranger: strangers -= 1
        }
    }
}
