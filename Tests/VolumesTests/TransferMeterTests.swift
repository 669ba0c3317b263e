import FarmAPI
import Testing

@testable import Volumes

@Suite struct TransferMeterTests {
    private static let large: Int64 = 8 << 20

    @Test func `transfers at the same time are one, and are told once`() {
        let meter = TransferMeter()
        for _ in 0..<3 { meter.begin(from: "a") }
        #expect(meter.take().isEmpty, "nothing has ended")
        for _ in 0..<3 { meter.end(from: "a", bytes: Self.large) }
        let found = meter.take()
        #expect(found.map(\.from) == ["a"] && found.map(\.bytes) == [3 * Self.large])
        #expect(found[0].seconds > 0 && found[0].seconds < 60)
        #expect(meter.take().isEmpty)
    }

    @Test func `small ones, failed ones and ends without a beginning are not counted`() {
        let meter = TransferMeter()
        meter.begin(from: nil)
        meter.end(from: nil, bytes: 1000)
        meter.begin(from: "a")
        meter.end(from: "a", bytes: 0)
        meter.end(from: "a", bytes: Self.large)
        meter.end(from: "b", bytes: Self.large)
        #expect(meter.take().isEmpty)
    }

    @Test func `no more senders are told at a time than a heartbeat takes, those with the most bytes first`() {
        let meter = TransferMeter()
        for number in 0..<40 {
            meter.begin(from: "\(number)")
            meter.end(from: "\(number)", bytes: Self.large + Int64(number))
        }
        #expect(meter.take().map(\.from).prefix(2) == ["39", "38"])
        #expect(meter.take().count == TransferMeasure.limit)
        #expect(meter.take().count == 40 - 2 * TransferMeasure.limit)
    }
}
