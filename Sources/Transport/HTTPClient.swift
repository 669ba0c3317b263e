import NIOCore

/// One server and how to reach it.
public struct ClientConfiguration: Sendable {
    public var host: String
    public var port: Int
    public var identity: TLSIdentity
    /// How long connecting and the handshake may take.
    public var connectTimeout: Duration = .seconds(10)

    public init(host: String, port: Int, identity: TLSIdentity) {
        self.host = host
        self.port = port
        self.identity = identity
    }
}

/// A client of one server: requests share one HTTP/2 connection, which is made when it is needed and made anew when it was lost.
public final class HTTPClient: Sendable {
    public init(configuration: ClientConfiguration) { fatalError("not built yet") }

    /// Sends a request; returns when the response's head is there. The body streams in both directions at the same time.
    ///
    /// - Parameter deadline: from now until the head; nil for none. A body has no deadline but may be cancelled with its task.
    public func send(_ request: ClientRequest, deadline: Duration? = .seconds(60)) async throws -> ClientResponse {
        fatalError("not built yet")
    }

    /// Closes the connection; requests under way fail with ``TransportError/closed``.
    public func close() async { fatalError("not built yet") }
}
