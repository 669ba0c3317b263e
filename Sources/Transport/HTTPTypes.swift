import NIOCore

/// A header field; names are lower case, as HTTP/2 has them.
public struct HeaderField: Hashable, Sendable {
    /// Lower case.
    public var name: String
    /// Without blanks around it.
    public var value: String

    /// The name must be lower case.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

extension [HeaderField] {
    /// The value of the first field of that lower-case name.
    public func first(named name: String) -> String? { first { $0.name == name }?.value }
}

/// Who is at the other end, as its certificate says; the certificate has been verified against the farm's authority.
public struct PeerIdentity: Hashable, Sendable {
    /// The subject's common name: the agent's or the client's name.
    public var commonName: String
    /// The subject's organizational unit: the role, see ``Role``.
    public var role: String

    /// For tests, and for peers that are known otherwise.
    public init(commonName: String, role: String) {
        self.commonName = commonName
        self.role = role
    }
}

/// A request as a server's handler gets it.
public struct ServerRequest: Sendable {
    /// As sent: `GET`, `POST`, …
    public var method: String
    /// Percent-decoded, without the query.
    public var path: String
    /// Decoded pairs in order.
    public var query: [HeaderField]
    /// In order; `host` is there in HTTP/2 too.
    public var headers: [HeaderField]
    /// Nil when the peer showed no certificate (possible only where the server's configuration allows it).
    public var peer: PeerIdentity?
    /// `address:port` of the peer.
    public var remoteAddress: String
    /// Dropping it unread makes the transport end the request once the response is out.
    public var body: InboundBody

    /// A request, as the transport or a test makes it.
    public init(
        method: String, path: String, query: [HeaderField], headers: [HeaderField], peer: PeerIdentity?, remoteAddress: String,
        body: InboundBody
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = peer
        self.remoteAddress = remoteAddress
        self.body = body
    }
}

/// A response that a server's handler gives.
public struct ServerResponse: Sendable {
    /// 200 to 999.
    public var status: Int
    /// Those that frame the body are written by the transport, and ignored here.
    public var headers: [HeaderField]
    /// Not sent where HTTP allows none.
    public var body: OutboundBody

    /// A response; without a body unless one is given.
    public init(status: Int, headers: [HeaderField] = [], body: OutboundBody = .none) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// A body to send.
public enum OutboundBody: Sendable {
    /// No body.
    case none
    /// A whole body.
    case bytes(ByteBuffer)
    /// Called once; what it writes is sent as it comes, `write` suspends while the peer is slow, a throw resets the stream, and it is
    /// cancelled when the peer goes away. `length`, where known, becomes content-length.
    case stream(length: Int?, @Sendable (BodyWriter) async throws -> Void)
}

/// Where a streamed body is written.
public struct BodyWriter: Sendable {
    private let body: @Sendable (ByteBuffer) async throws -> Void

    /// - Parameter body: takes bytes, and suspends while there is no room.
    public init(_ body: @escaping @Sendable (ByteBuffer) async throws -> Void) { self.body = body }

    /// Sends bytes; returns when there is room for more. Throws when the peer has gone.
    public func write(_ bytes: ByteBuffer) async throws { try await body(bytes) }

    /// Sends bytes; returns when there is room for more.
    public func write(_ bytes: [UInt8]) async throws { try await body(ByteBuffer(bytes: bytes)) }
}

/// A request to send.
public struct ClientRequest: Sendable {
    /// `GET`, `POST`, …
    public var method: String
    /// Encoded, with the query.
    public var target: String
    /// Names in lower case; those that frame the body are written by the transport, and ignored here.
    public var headers: [HeaderField]
    /// Streams while the response may already come.
    public var body: OutboundBody

    /// A request; without a body unless one is given.
    public init(method: String, target: String, headers: [HeaderField] = [], body: OutboundBody = .none) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
    }
}

/// A response as a client gets it: the head is there, the body follows.
public struct ClientResponse: Sendable {
    /// The final status.
    public var status: Int
    /// In order, names in lower case.
    public var headers: [HeaderField]
    /// Dropping it before its end resets the stream.
    public var body: InboundBody

    /// A response, as the transport or a test makes it.
    public init(status: Int, headers: [HeaderField], body: InboundBody) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}
