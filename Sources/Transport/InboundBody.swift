import NIOCore

/// A body as it arrives: bytes in order, once, by one reader. The peer is held back while nobody reads.
public struct InboundBody: AsyncSequence, Sendable {
    /// A part of the body.
    public typealias Element = ByteBuffer

    /// Reads the parts; all iterators of one body share its position.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let read: @Sendable () async throws -> ByteBuffer?
        /// The next bytes, nil at the end; throws when the stream was reset, the connection lost or the deadline passed.
        public mutating func next() async throws -> ByteBuffer? { try await read() }
    }

    private let read: @Sendable () async throws -> ByteBuffer?

    /// - Parameter read: gives the next bytes at each call, nil at the end.
    public init(_ read: @escaping @Sendable () async throws -> ByteBuffer?) { self.read = read }

    /// Begins, or goes on, to read.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(read: read) }

    /// The whole body; throws ``TransportError/bodyTooLarge(limit:)`` beyond `limit` bytes.
    public func collect(upTo limit: Int) async throws -> ByteBuffer {
        var whole = ByteBuffer()
        for try await part in self {
            guard whole.readableBytes + part.readableBytes <= limit else { throw TransportError.bodyTooLarge(limit: limit) }
            whole.writeImmutableBuffer(part)
        }
        return whole
    }
}
