import Store
import Synchronization

/// The tails of all open builds.
final class EventTails: Sendable {
    /// Bytes of all tails together: some hundred builds that print much at the same time. Above it a build's readers go to the database.
    static let limit = 32 << 20

    /// What a reader finds.
    enum Found {
        case events([EventLine])
        /// There will be more.
        case noneYet
        /// Ask the database: the build has ended, or the reader is behind.
        case elsewhere
    }

    private struct State {
        var tails: [String: EventTail] = [:]
        var bytes = 0
    }

    // A lock: readers would have to queue at the engine otherwise, for every event.
    private let state = Mutex(State())

    /// The build is open, and has events up to `last` in the database.
    func open(_ build: String, last: Int) { state.withLock { $0.tails[build] = EventTail(last: last) } }

    /// These events can be read now.
    func append(_ events: [EncodedEvent], to build: String) {
        let lines = events.compactMap { event in (try? event.json()).map { EventLine(sequence: event.event.sequence, json: $0) } }
        state.withLock { state in
            guard var tail = state.tails.removeValue(forKey: build) else { return }
            let before = tail.bytes
            tail.append(lines)
            if state.bytes + tail.bytes - before > Self.limit { tail.clear() }
            state.bytes += tail.bytes - before
            state.tails[build] = tail
        }
    }

    /// The build has ended: all is in the database.
    func close(_ build: String) {
        state.withLock { state in state.bytes -= state.tails.removeValue(forKey: build)?.bytes ?? 0 }
    }

    /// What comes after `sequence`.
    func find(_ build: String, after sequence: Int) -> Found {
        state.withLock { state in
            guard let events = state.tails[build]?.events(after: sequence) else { return .elsewhere }
            return events.isEmpty ? .noneYet : .events(events)
        }
    }
}
