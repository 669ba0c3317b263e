import BuildPlan
import FarmAPI

/// Which agent is to be given a copy of which head: a value without clock or I/O.
///
/// A head that too few agents have is copied once it has not changed for a while. One that changes all the time is copied now and then
/// all the same; one that only draining agents have, at once.
struct VolumeCopies {
    /// What the operator wants. Seconds.
    struct Policy: Sendable, Equatable {
        /// Agents that shall have each head.
        var copies = 2
        /// A head is copied when it has been the head for so long: a build's steps publish one after another.
        var settle: Double = 5
        /// A volume that never settles is copied after so long.
        var patience: Double = 60
        /// Copies that an agent receives at the same time.
        var concurrency = 1
        /// Copies that an agent gives at the same time: what steps want from it comes first, and draining an agent asks all at once.
        var sending = 2
        /// After a failure; doubles with each one that follows, up to ``longestPause``.
        var pause: Double = 10
        /// A volume that can't be copied (no disk has room) is tried again this often.
        var longestPause: Double = 600
        /// An agent that is lost may be starting again: what it has counts for so long.
        var absence: Double = 60
        /// An order that was not answered for so long, and for its bytes at ``slowest``, has failed: the answer may have been lost.
        var answer: Double = 900
        /// Bytes a second.
        var slowest: Double = 4_000_000
        /// An agent that had to remove volumes gets none for so long.
        var tight: Double = 600
        /// A last copy on a disk that is too full waits for another agent to have it for so long, and for its bytes at ``slowest``: the
        /// receiver waits a minute for its stages to end, and one order may fail.
        var evictionPatience: Double = 120
        /// An agent that has not asked for so long has found other room: several times the pause between its questions.
        var evictionMemory: Double = 60
    }

    /// An agent as it matters here.
    struct Agent {
        var name: String
        var platform: Platform?
        /// It can be asked for what it has.
        var isReachable: Bool
        /// It can be given orders.
        var isConnected: Bool
        var isDraining: Bool
        /// Seconds since it was heard of.
        var silence: Double
        var running: Int
        /// On its disk; nil where it has not said.
        var freeBytes: Int64?
        /// Its disk is too full for more.
        var isTight = false
        var volumes: [VolumeKey: Int]
    }

    /// A copy under way.
    struct Order: Equatable {
        var key: VolumeKey
        var agent: String
        var generation: Int
        /// The agent that is to be asked first.
        var source: String
        /// By the clock of ``plan(agents:holders:head:now:_:)``.
        var expires: Double
    }

    /// The only holder of a head is to remove it.
    private struct Eviction {
        var since: Double
        /// When its holder asked last.
        var asked: Double
    }

    private struct Failures {
        var count: Int
        var notBefore: Double
        var agent: String
    }

    /// A copy takes the volume's bytes, and while it arrives as much again for what is compared and merged.
    private static let room: Int64 = 2

    private(set) var orders: [VolumeKey: Order] = [:]
    /// Volumes that may have too few copies.
    private var suspects: Set<VolumeKey> = []
    /// The head that was seen last, and since when it is the head.
    private var heads: [VolumeKey: (generation: Int, since: Double)] = [:]
    /// Since when there are too few copies.
    private var bare: [VolumeKey: Double] = [:]
    private var failures: [VolumeKey: Failures] = [:]
    private var evictions: [VolumeKey: Eviction] = [:]

    /// Whether there is anything to look at: planning costs nothing otherwise.
    var hasSuspects: Bool { !suspects.isEmpty }

    /// Something about the volume has changed: its head, or who has it.
    mutating func suspect(_ key: VolumeKey) { suspects.insert(key) }

    /// The agent will not finish what it was ordered: its session has ended.
    mutating func forget(agent: String) {
        for order in orders.values where order.agent == agent { orders[order.key] = nil }
    }

    /// The order has ended, well or not.
    mutating func ended(_ key: VolumeKey, on agent: String, isDone: Bool, now: Double, _ policy: Policy) {
        guard orders[key]?.agent == agent else { return }
        orders[key] = nil
        suspects.insert(key)
        if isDone {
            failures[key] = nil
            // Those that waited for this one get their time.
            if evictions.removeValue(forKey: key) != nil { for waiting in evictions.keys { evictions[waiting]?.since = now } }
        } else {
            let count = (failures[key]?.count ?? 0) + 1
            let doubled = policy.pause * Double(1 << min(count - 1, 10))
            failures[key] = Failures(count: count, notBefore: now + min(doubled, policy.longestPause), agent: agent)
        }
    }

    /// Whether a head stays, of which its only holder is to be rid, until another agent has it: somebody has room for it, and the time for
    /// that has not passed. Then ``plan(agents:holders:head:now:_:)`` orders it before all others.
    mutating func holdsBack(_ key: VolumeKey, bytes: Int64, agents: [Agent], now: Double, _ policy: Policy) -> Bool {
        var eviction = evictions[key] ?? Eviction(since: now, asked: now)
        if now - eviction.asked > policy.evictionMemory { eviction.since = now }
        eviction.asked = now
        let isPossible = orders[key] != nil || agents.contains { Self.mayReceive($0) && Self.hasRoom($0, for: bytes) }
        guard isPossible, now - eviction.since < policy.evictionPatience + Double(bytes) / policy.slowest else {
            evictions[key] = nil
            return false
        }
        evictions[key] = eviction
        suspects.insert(key)
        return true
    }

    private static func mayReceive(_ agent: Agent) -> Bool {
        agent.isConnected && agent.isReachable && !agent.isDraining && !agent.isTight
    }

    private static func hasRoom(_ agent: Agent, for bytes: Int64) -> Bool { agent.freeBytes.map { $0 / room > bytes } ?? true }

    /// Decides what is to be copied now, and takes it as ordered.
    ///
    /// - Parameters:
    ///   - holders: names of agents that have any generation of a volume.
    ///   - head: a volume's newest generation and its bytes; nil for one that is no more.
    ///   - now: by a monotonic clock.
    mutating func plan(
        agents: [Agent], holders: (VolumeKey) -> Set<String>, head: (VolumeKey) -> (generation: Int, bytes: Int64)?, now: Double,
        _ policy: Policy
    ) -> [Order] {
        var new: [Order] = []
        for order in orders.values where now >= order.expires {
            ended(order.key, on: order.agent, isDone: false, now: now, policy)
        }
        var load: [String: Int] = [:]
        var sent: [String: Int] = [:]
        for order in orders.values {
            load[order.agent, default: 0] += 1
            sent[order.source, default: 0] += 1
        }
        let named = Dictionary(agents.map { ($0.name, $0) }) { first, _ in first }
        var receivers = agents.filter { Self.mayReceive($0) && load[$0.name, default: 0] < policy.concurrency }
        for (key, holding, wanted) in needy(named, holders, head, now, policy) {
            if receivers.isEmpty { break }
            let source = holding.filter { $0.isReachable && sent[$0.name, default: 0] < policy.sending }
                .min { (sent[$0.name, default: 0], $0.running, $0.name) < (sent[$1.name, default: 0], $1.running, $1.name) }
            guard let source else { continue }
            let best = receivers.filter { agent in
                agent.volumes[key] != wanted.generation && Self.hasRoom(agent, for: wanted.bytes)
            }.min { preference(of: $0, key) < preference(of: $1, key) }
            guard let best else { continue }
            let order = Order(
                key: key, agent: best.name, generation: wanted.generation, source: source.name,
                expires: now + policy.answer + Double(wanted.bytes) / policy.slowest)
            orders[key] = order
            load[best.name, default: 0] += 1
            if load[best.name, default: 0] >= policy.concurrency { receivers.removeAll { $0.name == best.name } }
            sent[source.name, default: 0] += 1
            new.append(order)
        }
        return new
    }

    /// Volumes that shall be copied now, those first that only agents have that drain or must remove them, then those that have waited
    /// longest.
    private mutating func needy(
        _ agents: [String: Agent], _ holders: (VolumeKey) -> Set<String>, _ head: (VolumeKey) -> (generation: Int, bytes: Int64)?,
        _ now: Double, _ policy: Policy
    ) -> [(VolumeKey, holders: [Agent], (generation: Int, bytes: Int64))] {
        var found: [(key: VolumeKey, holders: [Agent], head: (generation: Int, bytes: Int64), urgent: Bool, since: Double)] = []
        for key in suspects {
            guard let newest = head(key) else {
                forget(key)
                continue
            }
            if heads[key]?.generation != newest.generation { heads[key] = (newest.generation, now) }
            let holders = holders(key).compactMap { agents[$0] }.filter { $0.volumes[key] == newest.generation }
            if let eviction = evictions[key], now - eviction.asked > policy.evictionMemory { evictions[key] = nil }
            let isEvicted = evictions[key] != nil
            let safe = holders.count { !$0.isDraining && ($0.isReachable || (!isEvicted && $0.silence <= policy.absence)) }
            guard safe < max(isEvicted ? 2 : 1, policy.copies) else {
                suspects.remove(key)
                bare[key] = nil
                evictions[key] = nil
                continue
            }
            let since = bare[key] ?? now
            bare[key] = since
            guard orders[key] == nil, holders.contains(where: \.isReachable), now >= failures[key]?.notBefore ?? now else { continue }
            let urgent = safe == 0 || isEvicted
            let settled = now - (heads[key]?.since ?? now) >= policy.settle || now - since >= policy.patience
            if urgent || settled { found.append((key, holders, newest, urgent, since)) }
        }
        found.sort { a, b in
            (a.urgent ? 0 : 1, a.since, a.key.project, a.key.id) < (b.urgent ? 0 : 1, b.since, b.key.project, b.key.id)
        }
        return found.map { ($0.key, $0.holders, $0.head) }
    }

    private mutating func forget(_ key: VolumeKey) {
        suspects.remove(key)
        heads[key] = nil
        bare[key] = nil
        failures[key] = nil
        orders[key] = nil
        evictions[key] = nil
    }

    /// Less is better: where it has not failed, where builds could use it, where the least is missing, where the least runs, where the
    /// most room is.
    private func preference(of agent: Agent, _ key: VolumeKey) -> (Int, Int, Int, Int, Int64, String) {
        (
            failures[key]?.agent == agent.name ? 1 : 0, agent.platform == key.platform ? 0 : 1, -(agent.volumes[key] ?? 0), agent.running,
            -(agent.freeBytes ?? 0), agent.name
        )
    }
}

private func < (a: (Int, Int, Int, Int, Int64, String), b: (Int, Int, Int, Int, Int64, String)) -> Bool {
    if (a.0, a.1, a.2) != (b.0, b.1, b.2) { return (a.0, a.1, a.2) < (b.0, b.1, b.2) }
    return (a.3, a.4, a.5) < (b.3, b.4, b.5)
}
