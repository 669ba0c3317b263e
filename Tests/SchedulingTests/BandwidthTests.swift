import Testing

@testable import Scheduling

@Suite("Measured bandwidth") struct BandwidthTests {
    private static let usual = 100e6

    private func note(_ table: inout BandwidthTable, _ bytes: Int64, _ seconds: Double, from: Int = 1, to: Int = 2) -> Double? {
        table.note(from: from, to: to, bytes: bytes, seconds: seconds, usual: Self.usual)
    }

    @Test func `a few small or wrong transfers change little, large ones are followed`() throws {
        var table = BandwidthTable()
        // A stall, and an answer out of a cache.
        for _ in 0..<3 { _ = note(&table, BandwidthTable.leastBytes, 60) }
        #expect(try #require(table.measured(from: 1, to: 2)) > 70e6)
        table = BandwidthTable()
        for _ in 0..<3 { _ = note(&table, BandwidthTable.leastBytes, 1e-6) }
        #expect(try #require(table.measured(from: 1, to: 2)) < 1000e6)
        table = BandwidthTable()
        for _ in 0..<6 { _ = note(&table, 200_000_000, 100) }
        #expect((1.9e6...3e6).contains(try #require(table.measured(from: 1, to: 2))))
        for _ in 0..<6 { _ = note(&table, 200_000_000, 2) }
        #expect((80e6...101e6).contains(try #require(table.measured(from: 1, to: 2))))
    }

    @Test(
        arguments: [
            (100, 1.0), (-1, 1), (.min, 1), (1 << 30, 0), (1 << 30, -1), (1 << 30, .nan), (1 << 30, .infinity), (1 << 30, 1e9), (0, .nan),
        ] as [(Int64, Double)])
    func `figures that can't be are refused`(bytes: Int64, seconds: Double) {
        var table = BandwidthTable()
        #expect(note(&table, bytes, seconds) == nil && table.isEmpty)
        #expect(note(&table, 1 << 30, 1, from: 2) == nil && table.isEmpty)
    }

    @Test func `no figures, however large, leave the range of networks`() throws {
        var table = BandwidthTable()
        for _ in 0..<200 { _ = note(&table, .max, 1e-300) }
        #expect(BandwidthTable.possible.contains(try #require(table.measured(from: 1, to: 2))))
        for _ in 0..<400 { _ = note(&table, BandwidthTable.leastBytes, 86_400) }
        #expect(BandwidthTable.possible.contains(try #require(table.measured(from: 1, to: 2))))
        table.remember(from: 3, to: 2, rate: .nan)
        table.remember(from: 3, to: 2, rate: -1)
        #expect(table.measured(from: 3, to: 2) == nil)
    }

    @Test func `what is not known of a pair is taken from what the receiver usually gets`() throws {
        var table = BandwidthTable()
        for _ in 0..<10 { _ = note(&table, 200_000_000, 20) }
        let slow = try #require(table.expected(to: 2) { $0 == 9 })
        #expect(slow < 12e6)
        #expect(table.expected(to: 3) { _ in true } == nil)
        // The best of several.
        for _ in 0..<10 { _ = note(&table, 200_000_000, 1, from: 5) }
        let best = try #require(table.expected(to: 2) { _ in true })
        #expect(best > 150e6)
        #expect(table.expected(to: 2) { $0 == 1 } ?? 0 < 12e6)
    }

    @Test func `of many senders those heard of last are kept, and none of one that has left`() {
        var table = BandwidthTable()
        for sender in 10..<200 { _ = note(&table, 200_000_000, 2, from: sender) }
        #expect(table.senders(to: 2).count == BandwidthTable.senderLimit)
        #expect(table.measured(from: 199, to: 2) != nil && table.measured(from: 10, to: 2) == nil)
        table.remove(199)
        #expect(table.measured(from: 199, to: 2) == nil)
        table.remove(2)
        #expect(table.isEmpty)
    }
}
