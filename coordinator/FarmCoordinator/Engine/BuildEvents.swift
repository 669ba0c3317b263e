import FarmAPI
import Store

/// The events of a build, read from the store page by page: a slow reader costs no memory.
public struct BuildEvents: AsyncSequence, Sendable {
    /// Events read from the store at a time.
    static let page = 256

    let build: String
    let after: Int
    let store: Store
    let bell: Bell

    /// Reads the next page when the last is used up.
    public struct Iterator: AsyncIteratorProtocol {
        let events: BuildEvents
        var position: Int
        var page: ArraySlice<BuildEvent> = []
        var isFinished = false

        /// The next event in order, waiting for it if need be; nil after `finished`.
        /// - Throws: `CancellationError`, or what the store says.
        public mutating func next() async throws -> BuildEvent? {
            while page.isEmpty {
                if isFinished { return nil }
                // Asked before the page is read: what a build that has ended says is all there.
                let hasEnded = try await events.store.status(of: events.build)?.isFinal ?? true
                page = try await events.store.events(of: events.build, after: position, limit: BuildEvents.page)[...]
                guard page.isEmpty else { break }
                if hasEnded { return nil }
                await events.bell.wait(for: events.build, after: position)
                try Task.checkCancellation()
            }
            guard let event = page.popFirst() else { return nil }
            position = event.sequence
            if case .finished = event.kind { isFinished = true }
            return event
        }
    }

    /// Starts reading after the given sequence.
    public func makeAsyncIterator() -> Iterator { Iterator(events: self, position: after) }
}
