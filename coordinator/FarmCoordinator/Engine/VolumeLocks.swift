import BuildPlan
import FarmAPI

/// What is left of a lock that was taken from an agent: the volumes that it shared with others, to which its steps have written.
struct FormerLock {
    var agent: String
    var shared: Set<VolumeKey>
}

/// Who may use which volumes: a value without clock or I/O.
///
/// A step asks for all its volumes at once and gets them at once, so that A,B and B,A can't wait for each other. A request is granted
/// when nothing that is granted conflicts with it, and nothing that came earlier and still waits does: so nobody overtakes, and nobody
/// starves. `private` never waits: where it can't have the volume, it gets a fork.
struct VolumeLocks {
    /// What a step asked for.
    struct Request: Sendable {
        var lock: String
        var assignment: String
        var agent: String
        /// As the agent gave them: the answer is in this order.
        var needs: [AcquireVolumes.Need]
        /// One for each need, once granted.
        var forks: [Bool] = []

        // A volume that is mounted twice in a step counts once, in its strictest mode.
        var wanted: [VolumeKey: Sharing] {
            Dictionary(needs.map { ($0.key, $0.sharing) }) { a, b in
                if a == .locked || b == .locked { return .locked }
                return a == .private || b == .private ? .private : .shared
            }
        }
    }

    private struct Held {
        var request: Request
        /// Without forks: those get in nobody's way.
        var modes: [VolumeKey: Sharing]
    }

    private var granted: [String: Held] = [:]
    private var waiting: [Request] = []
    /// How many requests, granted or waiting, name a volume.
    private var uses: [VolumeKey: Int] = [:]

    /// Locks that were granted before a restart.
    init(granted requests: [Request] = []) {
        for request in requests {
            hold(request)
            count(request, 1)
        }
    }

    /// Asks; a lock that is known already changes nothing.
    /// - Returns: what has become granted by it, which is this request or nothing.
    mutating func ask(_ request: Request) -> [Request] {
        guard granted[request.lock] == nil, !waiting.contains(where: { $0.lock == request.lock }) else { return [] }
        waiting.append(request)
        count(request, 1)
        return grant()
    }

    /// The request as it was granted, or nil while it waits.
    func grantedRequest(_ lock: String) -> Request? { granted[lock]?.request }

    /// The assignment to which a lock, granted or waiting, belongs.
    func owner(of lock: String) -> (assignment: String, agent: String)? {
        let request = granted[lock]?.request ?? waiting.first { $0.lock == lock }
        return request.map { ($0.assignment, $0.agent) }
    }

    /// Whether a granted lock of the agent is for the volume itself, and not for a copy.
    ///
    /// - Parameter lock: nil for any.
    func isGranted(_ key: VolumeKey, to agent: String, under lock: String?) -> Bool {
        func isGranted(_ held: Held) -> Bool { held.request.agent == agent && held.modes[key] != nil }
        if let lock { return granted[lock].map(isGranted) ?? false }
        return isInUse(key) && granted.values.contains(where: isGranted)
    }

    /// What stays of a lock when it is taken from its agent; nil where that is nothing.
    func remains(of lock: String) -> FormerLock? {
        guard let held = granted[lock] else { return nil }
        let shared = held.modes.filter { $0.value == .shared }
        return shared.isEmpty ? nil : FormerLock(agent: held.request.agent, shared: Set(shared.keys))
    }

    /// Gives a lock back, or a place in the queue.
    /// - Returns: what has become granted by it, oldest first.
    mutating func release(_ lock: String) -> [Request] {
        if let held = granted.removeValue(forKey: lock) { count(held.request, -1) }
        for request in waiting where request.lock == lock { count(request, -1) }
        waiting.removeAll { $0.lock == lock }
        return grant()
    }

    /// All locks and requests of an assignment that has ended.
    func locks(of assignment: String) -> [String] {
        (granted.values.map(\.request) + waiting).filter { $0.assignment == assignment }.map(\.lock).sorted()
    }

    /// True while a step has the volume or waits for it.
    func isInUse(_ key: VolumeKey) -> Bool { uses[key] != nil }

    /// True while a step of the agent has the volume or waits for it.
    func isInUse(_ key: VolumeKey, by agent: String) -> Bool {
        guard isInUse(key) else { return false }
        return granted.values.contains { held in held.request.agent == agent && held.request.needs.contains { $0.key == key } }
            || waiting.contains { request in request.agent == agent && request.needs.contains { $0.key == key } }
    }

    private mutating func grant() -> [Request] {
        var result: [Request] = []
        var still: [Request] = []
        // What the earlier ones that wait want: nobody may take it before them.
        var reserved: [VolumeKey: [Sharing]] = [:]
        var held: [VolumeKey: [Sharing]] = [:]
        for lock in granted.values { for (key, mode) in lock.modes { held[key, default: []].append(mode) } }
        for var request in waiting {
            let wanted = request.wanted
            let blocked = wanted.contains { key, mode in
                mode != .private && (held[key, default: []] + reserved[key, default: []]).contains { Self.conflict($0, mode) }
            }
            if blocked {
                for (key, mode) in wanted { reserved[key, default: []].append(mode) }
                still.append(request)
                continue
            }
            let forked = Set(
                wanted.keys.filter { key in
                    wanted[key] == .private && !(held[key, default: []] + reserved[key, default: []]).isEmpty
                })
            request.forks = request.needs.map { forked.contains($0.key) }
            for (key, mode) in wanted where !forked.contains(key) { held[key, default: []].append(mode) }
            hold(request)
            result.append(request)
        }
        waiting = still
        return result
    }

    private mutating func count(_ request: Request, _ change: Int) {
        for key in Set(request.needs.map(\.key)) {
            let uses = uses[key, default: 0] + change
            self.uses[key] = uses > 0 ? uses : nil
        }
    }

    private mutating func hold(_ request: Request) {
        let forked = Set(zip(request.needs, request.forks).filter(\.1).map(\.0.key))
        granted[request.lock] = Held(request: request, modes: request.wanted.filter { !forked.contains($0.key) })
    }

    // Only readers and writers that share bear each other.
    private static func conflict(_ a: Sharing, _ b: Sharing) -> Bool { !(a == .shared && b == .shared) }
}
