/// Bytes a second from one machine to another, as they were measured: a moving average for each pair, and for each receiver over all senders.
///
/// Machines are numbers of the agent pool. What is measured comes from agents: it is never taken as it is, and a few transfers, or wrong
/// ones, move an average by little.
struct BandwidthTable: Sendable {
    private struct Pair: Sendable {
        var rate: Double
        /// When it was noted last, in the order of all.
        var order: Int
    }

    private struct Receiver: Sendable {
        var all: Double
        var senders: [Int: Pair] = [:]
    }

    private var receivers: [Int: Receiver] = [:]
    private var order = 0

    /// The coordinator, as a sender.
    static let coordinator = -1
    /// Transfers below this say more about latency than about bandwidth.
    static let leastBytes: Int64 = 4 << 20
    /// A transfer of so many bytes counts half, a larger one more.
    private static let half = 32.0 * 1_048_576
    /// Of the newest transfer, however large: one is not all.
    private static let greatestShare = 0.7
    /// A transfer counts as at most so many times quicker or slower than what was known: a stalled one, or one out of a cache.
    private static let farthest = 8.0
    /// Bytes a second that can be: less is an outage, more is faster than any network that agents have.
    static let possible = 1e3...12.5e9
    /// Senders of a receiver that are told apart; those that were heard of least lately go first.
    static let senderLimit = 32
    /// Longer than any transfer takes.
    private static let longest = 86_400.0

    /// Nothing was measured yet.
    var isEmpty: Bool { receivers.isEmpty }

    /// Takes a finished transfer; small ones, and figures that can't be, are ignored.
    ///
    /// - Parameter usual: what is expected where nothing was measured.
    /// - Returns: what is expected of the pair now; nil where it was ignored.
    mutating func note(from: Int, to: Int, bytes: Int64, seconds: Double, usual: Double) -> Double? {
        guard from != to, bytes >= Self.leastBytes, seconds > 0, seconds <= Self.longest else { return nil }
        let measured = Self.clamped(Double(bytes) / seconds)
        let share = min(Self.greatestShare, Double(bytes) / (Double(bytes) + Self.half))
        func moved(_ known: Double) -> Double {
            known + share * (min(max(measured, known / Self.farthest), known * Self.farthest) - known)
        }
        var receiver = receivers[to] ?? Receiver(all: Self.clamped(usual))
        let rate = moved(receiver.senders[from]?.rate ?? receiver.all)
        receiver.all = moved(receiver.all)
        receivers[to] = receiver
        set(from: from, to: to, rate)
        return rate
    }

    /// Takes what was measured before, as ``note(from:to:bytes:seconds:usual:)`` gave it.
    mutating func remember(from: Int, to: Int, rate: Double) {
        guard from != to, Self.possible.contains(rate) else { return }
        var receiver = receivers[to] ?? Receiver(all: rate)
        let count = Double(receiver.senders.count)
        receiver.all = (receiver.all * count + rate) / (count + 1)
        receivers[to] = receiver
        set(from: from, to: to, rate)
    }

    private mutating func set(from: Int, to: Int, _ rate: Double) {
        order += 1
        receivers[to]?.senders[from] = Pair(rate: rate, order: order)
        guard let senders = receivers[to]?.senders, senders.count > Self.senderLimit else { return }
        if let oldest = senders.min(by: { $0.value.order < $1.value.order }) { receivers[to]?.senders[oldest.key] = nil }
    }

    private static func clamped(_ rate: Double) -> Double { min(max(rate, possible.lowerBound), possible.upperBound) }

    /// What can be expected: the best of those pairs, else what the receiver usually gets, else nil.
    func expected(to receiver: Int, from isSender: (Int) -> Bool) -> Double? {
        guard let known = receivers[receiver] else { return nil }
        var best: Double?
        // Few senders are known of each receiver, while what is to be brought may have thousands of holders.
        for (sender, pair) in known.senders where pair.rate > best ?? 0 && isSender(sender) { best = pair.rate }
        return best ?? known.all
    }

    /// What was measured of a pair.
    func measured(from: Int, to: Int) -> Double? { receivers[to]?.senders[from]?.rate }

    /// All senders of which something was measured.
    func senders(to receiver: Int) -> [(sender: Int, rate: Double)] { receivers[receiver]?.senders.map { ($0.key, $0.value.rate) } ?? [] }

    /// Forgets an agent that has left: its number may be another's soon.
    mutating func remove(_ agent: Int) {
        receivers[agent] = nil
        for receiver in receivers.keys { receivers[receiver]?.senders[agent] = nil }
    }
}
