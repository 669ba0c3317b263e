import FarmAPI
import Store

/// The events of a build, from the engine's memory for those who read along, else from the store page by page: a slow reader costs no memory.
public struct BuildEvents: AsyncSequence, Sendable {
    /// Events read from the store at a time, and bytes after which a page ends.
    static let page = 256
    static let pageBytes = 256 << 10

    /// Between looks for the last events of a build that is not in the engine's memory any more.
    static let endingPause = Duration.milliseconds(20)

    let build: String
    let after: Int
    let store: Store
    let bell: Bell
    let tails: EventTails

    /// Reads the next page when the last is used up.
    public struct Iterator: AsyncIteratorProtocol {
        var pages: EventPages
        var page: ArraySlice<EventLine> = []

        /// The next event in order, waiting for it if need be; nil after `finished`.
        /// - Throws: `CancellationError`, or what the store says.
        public mutating func next() async throws -> BuildEvent? {
            if page.isEmpty { page = (try await pages.next() ?? [])[...] }
            guard let line = page.popFirst() else { return nil }
            return try FarmJSON.decode(BuildEvent.self, from: line.json)
        }
    }

    /// Starts reading after the given sequence.
    public func makeAsyncIterator() -> Iterator { Iterator(pages: pages) }

    /// The same as they are stored, several at a time.
    var pages: EventPages { EventPages(events: self) }
}

/// Reads the events of a build, some at a time.
struct EventPages {
    private let events: BuildEvents
    /// Of the last event that was read.
    private var position: Int

    fileprivate init(events: BuildEvents) {
        self.events = events
        position = events.after
    }

    /// What comes next, at least one event, waiting for it if need be; nil after `finished`.
    /// - Throws: `CancellationError`, or what the store says.
    mutating func next() async throws -> [EventLine]? {
        while true {
            try Task.checkCancellation()
            switch events.tails.find(events.build, after: position) {
            case .events(let lines): return advance(lines)
            case .noneYet: await events.bell.wait(for: events.build, after: position)
            case .elsewhere:
                // Asked before the page is read: what a build that has ended says is all there.
                let hasEnded = try await events.store.status(of: events.build)?.isFinal ?? true
                let lines = try await stored()
                if !lines.isEmpty { return advance(lines) }
                if hasEnded { return nil }
                // It is ending: what it says last is on its way to the store, and with a full disk that takes its time.
                try await Task.sleep(for: BuildEvents.endingPause)
            }
        }
    }

    /// What the store has now and was not read yet; empty when that was all.
    mutating func nextStored() async throws -> [EventLine] { advance(try await stored()) }

    private func stored() async throws -> [EventLine] {
        try await events.store.eventLines(of: events.build, after: position, limit: BuildEvents.page, bytes: BuildEvents.pageBytes)
    }

    private mutating func advance(_ lines: [EventLine]) -> [EventLine] {
        if let last = lines.last { position = last.sequence }
        return lines
    }
}
