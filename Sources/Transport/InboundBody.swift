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

/// Why an exchange failed.
public enum TransportError: Error, Sendable, Equatable {
    /// Nobody answers at that address.
    case connectFailed(address: String, reason: String)
    /// The server's address is taken, not ours, or not allowed.
    case bindFailed(address: String, reason: String)
    /// The TLS handshake was refused, by us or by the peer; the reason names the certificate's fault.
    case handshakeFailed(address: String, reason: String)
    /// The connection broke off, or the peer no longer answers.
    case connectionLost
    /// The peer gave the exchange up; the codes are HTTP/2's (RFC 9113, 7).
    case streamReset(code: UInt32)
    /// The response's head did not come in time.
    case deadlineExceeded
    /// A body is larger than its reader takes.
    case bodyTooLarge(limit: Int)
    /// A streamed body was longer or shorter than its announced length.
    case wrongBodyLength
    /// A header's name or value has characters that must not be sent, or the request's target has.
    case invalidHeader(name: String)
    /// A file of the identity can't be used.
    case badIdentity(file: String, reason: String)
    /// The client, or this body, is closed on our side.
    case closed
}
