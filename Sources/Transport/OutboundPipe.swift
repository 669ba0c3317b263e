import NIOCore
import Synchronization

/// Where a body's writers put bytes and an event loop takes them. Holds at most ``TransportLimits/outboundQueue`` bytes and one write.
///
/// A lock and no actor, because the event loop can't wait.
final class OutboundPipe: Sendable {
    enum Taken {
        case bytes(ByteBuffer, last: Bool)
        case nothingYet
        case failed
    }

    private enum End { case open, finished, failed, closed(any Error) }

    private struct State {
        var queue = CircularBuffer<ByteBuffer>()
        var queued = 0
        var end = End.open
        /// What may still be written, where the length was announced.
        var remaining: Int?
        /// The loop found nothing and waits for a signal.
        var starved = false
        var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state: Mutex<State>
    private let onReady: @Sendable () -> Void

    /// - Parameter onReady: called, on any thread, when there is something to take after ``Taken/nothingYet``.
    init(length: Int?, onReady: @escaping @Sendable () -> Void) {
        state = Mutex(State(remaining: length))
        self.onReady = onReady
    }

    /// A pipe that holds a whole body.
    init(whole bytes: ByteBuffer) {
        state = Mutex(State(queue: [bytes], queued: bytes.readableBytes, end: .finished))
        onReady = {}
    }

    /// Queues bytes; returns when there is room for more. Throws when the peer has gone, or at more than the announced length.
    func write(_ bytes: ByteBuffer) async throws {
        guard bytes.readableBytes > 0 else { return }
        let (signal, full) = try state.withLock { state in
            switch state.end {
            case .open: break
            case .closed(let error): throw error
            case .finished, .failed: throw TransportError.closed
            }
            if let remaining = state.remaining {
                guard bytes.readableBytes <= remaining else { throw TransportError.wrongBodyLength }
                state.remaining = remaining - bytes.readableBytes
            }
            state.queue.append(bytes)
            state.queued += bytes.readableBytes
            defer { state.starved = false }
            return (state.starved, state.queued >= TransportLimits.outboundQueue)
        }
        if signal { onReady() }
        if full { try await room() }
    }

    private func room() async throws {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state -> Result<Void, any Error>? in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if case .closed(let error) = state.end { return .failure(error) }
                    if state.queued < TransportLimits.outboundQueue { return .success(()) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(throwing: CancellationError())
        }
    }

    /// The end of the body; throws when the announced length was not reached.
    func finish() throws {
        let (signal, complete) = state.withLock { state in
            guard case .open = state.end else { return (false, true) }
            let complete = state.remaining ?? 0 == 0
            state.end = complete ? .finished : .failed
            defer { state.starved = false }
            return (state.starved, complete)
        }
        if signal { onReady() }
        if !complete { throw TransportError.wrongBodyLength }
    }

    /// The writer failed: the stream is to be reset.
    func fail() {
        let signal = state.withLock { state in
            guard case .open = state.end else { return false }
            state.end = .failed
            defer { state.starved = false }
            return state.starved
        }
        if signal { onReady() }
    }

    /// The peer has gone: drops everything, and writers throw `error`.
    func close(_ error: any Error) {
        let waiters = state.withLock { state in
            state.queue = CircularBuffer()
            state.queued = 0
            state.end = .closed(error)
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume(throwing: error) }
    }

    /// The next bytes to send, at most `limit`.
    func take(upTo limit: Int) -> Taken {
        let (taken, waiters) = state.withLock { state -> (Taken, [UInt64: CheckedContinuation<Void, any Error>]) in
            switch state.end {
            case .failed, .closed: return (.failed, [:])
            case .open, .finished: break
            }
            var finished = false
            if case .finished = state.end { finished = true }
            guard var first = state.queue.first else {
                if finished { return (.bytes(ByteBuffer(), last: true), [:]) }
                state.starved = true
                return (.nothingYet, [:])
            }
            let count = min(limit, first.readableBytes)
            let bytes = first.readSlice(length: count) ?? ByteBuffer()
            if first.readableBytes == 0 { state.queue.removeFirst() } else { state.queue[state.queue.startIndex] = first }
            state.queued -= count
            guard state.queued < TransportLimits.outboundQueue else { return (.bytes(bytes, last: false), [:]) }
            defer { state.waiters = [:] }
            return (.bytes(bytes, last: finished && state.queue.isEmpty), state.waiters)
        }
        for waiter in waiters.values { waiter.resume() }
        return taken
    }
}
