import NIOCore

/// How a server listens.
public struct ServerConfiguration: Sendable {
    /// An address or name; `0.0.0.0` or `::` for all.
    public var host: String
    /// 0 for a free one.
    public var port: Int
    public var identity: TLSIdentity
    /// False lets peers without a certificate through to the handler, which sees `peer == nil`; one that is shown must still be valid.
    public var requiresCertificate: Bool

    public init(host: String, port: Int, identity: TLSIdentity, requiresCertificate: Bool) {
        self.host = host
        self.port = port
        self.identity = identity
        self.requiresCertificate = requiresCertificate
    }
}

/// HTTP/2 over TLS 1.3, and HTTP/1.1 by ALPN for probes and old tools.
public final class HTTPServer: Sendable {
    /// - Parameter handler: called for each request in a task of its own, which is cancelled when the peer resets the stream or goes.
    public init(configuration: ServerConfiguration, handler: @escaping @Sendable (ServerRequest) async -> ServerResponse) {
        fatalError("not built yet")
    }

    /// Binds and serves; returns the port that is bound. Throws when the address is taken or a file of the identity is bad.
    public func start() async throws -> Int { fatalError("not built yet") }

    /// Stops accepting, lets running requests end for up to `grace`, then closes what is left.
    public func shutdown(grace: Duration) async { fatalError("not built yet") }
}
