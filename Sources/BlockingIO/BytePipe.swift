/// A bounded pipe of bytes between a blocking thread and asynchronous code, in either direction.
///
/// Each side may be blocking (``read(into:)``, ``write(_:)``) or asynchronous (``next()``, ``send(_:)``); one reader, one writer.
/// The writer ends it with ``finish(throwing:)``; a reader that goes away calls ``abandon()``, and the writer's next write throws
/// ``PipeError/abandoned``.
public final class BytePipe: ByteSource, ByteSink, Sendable {
    /// Enough to keep both sides busy over a thread switch, little enough for hundreds of pipes.
    public static let defaultCapacity = 1 << 20
    /// What one ``next()`` gives at the most; a body's write of this size is a few dozen TLS records.
    public static let chunkSize = 128 << 10

    private typealias Slot = WritableKeyPath<State, CheckedContinuation<Void, Never>?> & Sendable

    private struct State {
        var chunks: [[UInt8]] = []
        var head = 0
        var offset = 0
        var buffered = 0
        var end: Result<Void, any Error>?
        var abandoned = false
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?
    }

    private let state = Monitor(State())
    private let capacity: Int

    /// - Parameter capacity: bytes that may wait between the sides; a single larger write passes whole.
    public init(capacity: Int = BytePipe.defaultCapacity) { self.capacity = max(1, capacity) }

    // MARK: The writer's side

    /// Blocks until there is room. Not for asynchronous code.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard bytes.count > 0 else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = [UInt8](rest.prefix(Self.chunkSize))
            rest = rest.dropFirst(piece.count)
            try state.wait { state -> Void? in
                if state.abandoned { throw PipeError.abandoned }
                guard state.buffered == 0 || state.buffered + piece.count <= capacity else { return nil }
                append(piece, to: &state)
                return ()
            }
            wakeReader()
        }
    }

    /// Suspends until there is room.
    public func send(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        while true {
            try Task.checkCancellation()
            let taken = try state.withLock { state in
                if state.abandoned { throw PipeError.abandoned }
                guard state.buffered == 0 || state.buffered + bytes.count <= capacity else { return false }
                append(bytes, to: &state)
                return true
            }
            if taken {
                wakeReader()
                return
            }
            await suspend(\.writer) { $0.buffered == 0 || $0.buffered + bytes.count <= self.capacity || $0.abandoned }
        }
    }

    /// Ends the stream; with an error, the reader throws it after the bytes before. Only the first call counts.
    public func finish(throwing error: (any Error)? = nil) {
        state.withLock { state in
            if state.end == nil { state.end = error.map { .failure($0) } ?? .success(()) }
        }
        wakeReader()
    }

    // MARK: The reader's side

    /// Blocks until there are bytes. Not for asynchronous code.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try state.wait { state in try take(into: buffer, from: &state) }
        wakeWriter()
        return count
    }

    /// The next bytes, or nil at the end.
    public func next() async throws -> [UInt8]? {
        while true {
            try Task.checkCancellation()
            let chunk: [UInt8]?? = try state.withLock { state in
                if state.head < state.chunks.count { return .some(takeChunk(from: &state)) }
                guard let end = state.end else { return nil }
                try end.get()
                return .some(nil)
            }
            if let chunk {
                wakeWriter()
                return chunk
            }
            await suspend(\.reader) { $0.head < $0.chunks.count || $0.end != nil }
        }
    }

    /// The reader wants no more: what waits is dropped and the writer is told.
    public func abandon() {
        state.withLock { state in
            state.abandoned = true
            state.chunks = []
            state.head = 0
            state.buffered = 0
        }
        wakeWriter()
    }

    // MARK: Inside

    private func append(_ bytes: [UInt8], to state: inout State) {
        state.chunks.append(bytes)
        state.buffered += bytes.count
    }

    private func take(into buffer: UnsafeMutableRawBufferPointer, from state: inout State) throws -> Int? {
        guard state.head < state.chunks.count else {
            guard let end = state.end else { return nil }
            try end.get()
            return 0
        }
        let count = min(buffer.count, state.chunks[state.head].count - state.offset)
        state.chunks[state.head].withUnsafeBytes { chunk in
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: chunk[state.offset..<state.offset + count]))
        }
        state.offset += count
        state.buffered -= count
        if state.offset == state.chunks[state.head].count { advance(&state) }
        return count
    }

    private func takeChunk(from state: inout State) -> [UInt8] {
        let chunk = state.offset == 0 ? state.chunks[state.head] : Array(state.chunks[state.head][state.offset...])
        state.buffered -= chunk.count
        advance(&state)
        return chunk
    }

    private func advance(_ state: inout State) {
        state.offset = 0
        state.chunks[state.head] = []
        state.head += 1
        if state.head == state.chunks.count {
            state.chunks.removeAll(keepingCapacity: true)
            state.head = 0
        }
    }

    private func suspend(
        _ slot: Slot, until ready: @escaping (State) -> Bool
    ) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if ready(state) || Task.isCancelled { return true }
                    state[keyPath: slot] = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            wake(slot)
        }
    }

    private func wake(_ slot: Slot) {
        let continuation = state.withLock { state in
            let continuation = state[keyPath: slot]
            state[keyPath: slot] = nil
            return continuation
        }
        continuation?.resume()
        state.broadcast()
    }

    private func wakeReader() { wake(\.reader) }
    private func wakeWriter() { wake(\.writer) }
}

/// Why a pipe refused bytes.
public enum PipeError: Error, Sendable {
    /// The reading side went away; nobody wants the rest.
    case abandoned
}
