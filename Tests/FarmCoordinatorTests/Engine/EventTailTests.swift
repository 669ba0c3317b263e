import BuildPlan
import FarmAPI
import Store
import Testing

@testable import FarmCoordinator

struct EventTailTests {
    private func lines(_ numbers: ClosedRange<Int>, bytes: Int = 10) -> [EventLine] {
        numbers.map { EventLine(sequence: $0, json: Array(repeating: UInt8(ascii: "x"), count: bytes)) }
    }

    @Test func `who reads along gets what is new`() {
        var tail = EventTail(last: 3)
        #expect(tail.events(after: 3)?.isEmpty == true)
        #expect(tail.events(after: 2) == nil)
        tail.append(lines(4...6))
        #expect(tail.events(after: 3)?.map(\.sequence) == [4, 5, 6])
        #expect(tail.events(after: 5)?.map(\.sequence) == [6])
        #expect(tail.events(after: 6)?.isEmpty == true)
        #expect(tail.events(after: 100)?.isEmpty == true)
        #expect(tail.events(after: 2) == nil)
    }

    @Test func `a group that arrives before the one before it leaves no gap and loses none`() {
        var tail = EventTail(last: 0)
        tail.append(lines(1...2))
        tail.append(lines(5...6))
        // 3 and 4 are in the database: whoever needs them goes there.
        #expect(tail.events(after: 2) == nil)
        #expect(tail.events(after: 4)?.map(\.sequence) == [5, 6])
        tail.append(lines(3...4))
        #expect(tail.events(after: 2) == nil)
        #expect(tail.events(after: 6)?.isEmpty == true)
        tail.append(lines(7...7))
        #expect(tail.events(after: 4)?.map(\.sequence) == [5, 6, 7])
    }

    @Test func `it keeps the newest within its limit`() {
        var tail = EventTail(last: 0)
        for number in 1...10_000 {
            tail.append(lines(number...number, bytes: 100))
            #expect(tail.bytes <= EventTail.limit)
        }
        let kept = EventTail.limit / 100
        #expect(tail.events(after: 10_000 - kept)?.map(\.sequence) == Array((10_001 - kept)...10_000))
        #expect(tail.events(after: 10_000 - kept - 1) == nil)
        // One that is larger than the limit is for the database alone.
        tail.append(lines(10_001...10_001, bytes: EventTail.limit + 1))
        #expect(tail.events(after: 10_000) == nil)
        #expect(tail.events(after: 10_001)?.isEmpty == true)
    }

    @Test func `all tails together have a limit, and what they kept is given back`() {
        let tails = EventTails()
        let text = String(repeating: "x", count: 60 << 10)
        let builds = (0..<EventTails.limit / (60 << 10) + 100).map { "build-\($0)" }
        for build in builds {
            tails.open(build, last: 0)
            tails.append([EncodedEvent(BuildEvent(sequence: 1, time: .epoch, kind: .warning(text: text)))], to: build)
        }
        func kept() -> Int { builds.count { if case .events = tails.find($0, after: 0) { true } else { false } } }
        #expect(kept() * (60 << 10) <= EventTails.limit)
        #expect(kept() > 400)
        for build in builds { tails.close(build) }
        #expect(kept() == 0)
        for build in builds.prefix(100) {
            tails.open(build, last: 0)
            tails.append([EncodedEvent(BuildEvent(sequence: 1, time: .epoch, kind: .warning(text: text)))], to: build)
        }
        #expect(kept() == 100)
        // Events of a build that is not open any more are nobody's.
        tails.append([EncodedEvent(BuildEvent(sequence: 1, time: .epoch, kind: .warning(text: text)))], to: "gone")
        if case .elsewhere = tails.find("gone", after: 0) {} else { Issue.record("a build that is not open has a tail") }
    }
}
