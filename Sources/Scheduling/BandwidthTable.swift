/// Bytes a second between agents, as they were measured: a moving average for each pair, and for each receiver over all senders.
struct BandwidthTable: Sendable {
    /// From one agent to another.
    private struct Pair: Hashable {
        var from: String
        var to: String
    }

    private var pairs: [Pair: Double] = [:]
    private var receivers: [String: Double] = [:]

    /// Of a new measurement in the average: what is a few transfers old hardly counts.
    private static let share = 0.3
    /// Transfers below this say more about latency than about bandwidth.
    static let leastBytes: Int64 = 4 << 20

    /// Nothing was measured yet.
    var isEmpty: Bool { pairs.isEmpty }

    /// Takes a finished transfer; small and instant ones are ignored.
    mutating func note(from: String, to: String, bytes: Int64, seconds: Double) {
        guard bytes >= Self.leastBytes, seconds > 0, seconds.isFinite else { return }
        let measured = Double(bytes) / seconds
        let pair = Pair(from: from, to: to)
        pairs[pair] = pairs[pair].map { $0 + Self.share * (measured - $0) } ?? measured
        receivers[to] = receivers[to].map { $0 + Self.share * (measured - $0) } ?? measured
    }

    /// What can be expected: the best of the pairs, else what the receiver usually gets, else nil.
    func expected(from senders: some Sequence<String>, to receiver: String) -> Double? {
        if pairs.isEmpty { return nil }
        return senders.lazy.compactMap { pairs[Pair(from: $0, to: receiver)] }.max() ?? receivers[receiver]
    }

    /// Forgets an agent that has left.
    mutating func remove(_ agent: String) {
        receivers[agent] = nil
        pairs = pairs.filter { $0.key.from != agent && $0.key.to != agent }
    }
}
