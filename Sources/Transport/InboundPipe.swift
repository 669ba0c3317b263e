import NIOCore
import Synchronization

/// Where an event loop puts a body's bytes and one reader takes them. Does not limit: the peer's window does.
///
/// A lock and no actor, because the event loop can't wait and a reader should not hop for bytes that are there.
final class InboundPipe: Sendable {
    private enum End { case open, finished, failed(any Error) }

    private struct State {
        var buffered = ByteBuffer()
        var end = End.open
        var abandoned = false
        var reader: CheckedContinuation<ByteBuffer?, any Error>?
    }

    private let state = Mutex(State())
    private let onConsumed: @Sendable (Int) -> Void
    private let onAbandoned: @Sendable (_ ended: Bool) -> Void

    /// - Parameters:
    ///   - onConsumed: called with the number of bytes whose room the peer may have back.
    ///   - onAbandoned: called once when nobody will read any more; says whether the end had arrived.
    init(onConsumed: @escaping @Sendable (Int) -> Void, onAbandoned: @escaping @Sendable (_ ended: Bool) -> Void) {
        self.onConsumed = onConsumed
        self.onAbandoned = onAbandoned
    }

    /// Puts bytes; false when nobody will read them, and the caller gives the peer their room back.
    func feed(_ bytes: ByteBuffer) -> Bool {
        enum Action { case stored, dropped, resume(CheckedContinuation<ByteBuffer?, any Error>) }
        let action: Action = state.withLock { state in
            guard !state.abandoned, case .open = state.end else { return .dropped }
            if let reader = state.reader {
                state.reader = nil
                return .resume(reader)
            }
            if state.buffered.readableBytes == 0 {
                state.buffered = bytes
            } else {
                state.buffered.writeImmutableBuffer(bytes)
            }
            return .stored
        }
        switch action {
        case .stored: return true
        case .dropped: return false
        case .resume(let reader):
            reader.resume(returning: bytes)
            onConsumed(bytes.readableBytes)
            return true
        }
    }

    /// The end, or with an error the failure, of the body; the first one counts. What is buffered is still read before an end.
    func finish(_ error: (any Error)? = nil) {
        let reader = state.withLock { state -> CheckedContinuation<ByteBuffer?, any Error>? in
            guard case .open = state.end else { return nil }
            state.end = error.map { .failed($0) } ?? .finished
            defer { state.reader = nil }
            return state.reader
        }
        if let error { reader?.resume(throwing: error) } else { reader?.resume(returning: nil) }
    }

    /// The next bytes: all that are there.
    func read() async throws -> ByteBuffer? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (result, consumed) = state.withLock { state -> (Result<ByteBuffer?, any Error>?, Int) in
                    if Task.isCancelled || state.abandoned { return (.failure(CancellationError()), 0) }
                    if state.buffered.readableBytes > 0 {
                        if case .failed(let error) = state.end { return (.failure(error), 0) }
                        let bytes = state.buffered
                        state.buffered = ByteBuffer()
                        return (.success(bytes), bytes.readableBytes)
                    }
                    switch state.end {
                    case .finished: return (.success(nil), 0)
                    case .failed(let error): return (.failure(error), 0)
                    case .open:
                        precondition(state.reader == nil, "a body has one reader")
                        state.reader = continuation
                        return (nil, 0)
                    }
                }
                if let result { continuation.resume(with: result) }
                if consumed > 0 { onConsumed(consumed) }
            }
        } onCancel: {
            abandon()
        }
    }

    /// Nobody will read any more: what is buffered is given up.
    func abandon() {
        let (reader, leftover, ended, first) = state.withLock { state in
            let first = !state.abandoned
            state.abandoned = true
            let leftover = state.buffered.readableBytes
            state.buffered = ByteBuffer()
            let reader = state.reader
            state.reader = nil
            if case .open = state.end { return (reader, leftover, false, first) }
            return (reader, leftover, true, first)
        }
        reader?.resume(throwing: CancellationError())
        if leftover > 0 { onConsumed(leftover) }
        if first { onAbandoned(ended) }
    }

    /// The body that reads from here. When the last copy of it goes unread, the pipe is abandoned.
    func makeBody() -> InboundBody {
        let reader = Reader(self)
        return InboundBody { try await reader.pipe.read() }
    }

    private final class Reader: Sendable {
        let pipe: InboundPipe
        init(_ pipe: InboundPipe) { self.pipe = pipe }
        deinit { pipe.abandon() }
    }
}
