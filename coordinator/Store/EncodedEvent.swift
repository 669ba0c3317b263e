import FarmAPI
import Synchronization

/// An event of a build and its JSON, which is made once, by whoever needs it first: the journal, for the database, and readers send the same bytes.
public final class EncodedEvent: Sendable {
    /// What happened.
    public let event: BuildEvent
    // A lock: the journal's thread makes it, tasks read it. Held by the journal alone until readers hear of the event.
    private let encoded = Mutex<[UInt8]?>(nil)

    /// Encodes nothing yet.
    public init(_ event: BuildEvent) { self.event = event }

    /// One line of JSON, without a line feed.
    /// - Throws: what the encoder says; events are plain values, so it has nothing to say.
    public func json() throws -> [UInt8] {
        try encoded.withLock { encoded in
            if let encoded { return encoded }
            let made = try FarmJSON.encode(event)
            encoded = made
            return made
        }
    }
}

/// An event as readers get it.
public struct EventLine: Sendable {
    /// Of the event.
    public var sequence: Int
    /// One line of JSON, without a line feed.
    public var json: [UInt8]

    /// An event's number and text.
    public init(sequence: Int, json: [UInt8]) {
        self.sequence = sequence
        self.json = json
    }
}
