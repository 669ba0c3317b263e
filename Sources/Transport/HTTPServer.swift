import NIOCore
import NIOPosix
import Synchronization

/// How a server listens.
public struct ServerConfiguration: Sendable {
    /// An address or name; `0.0.0.0` or `::` for all.
    public var host: String
    /// 0 for a free one.
    public var port: Int
    /// What the server shows and trusts.
    public var identity: TLSIdentity
    /// False lets peers without a certificate through to the handler, which sees `peer == nil`; one that is shown must still be valid.
    public var requiresCertificate: Bool
    /// Silence after which a peer is probed; it counts as gone after two unanswered probes.
    public var pingInterval: Duration = .seconds(10)
    /// How long a peer may take for the handshake.
    public var handshakeTimeout: Duration = .seconds(10)
    /// Connections at the same time, of which those without a certificate may be half. What comes then gets ``refusal`` and is closed.
    /// Each takes a file descriptor and some 50 KB when it is idle.
    public var maximumConnections = 4096
    /// Requests under way on one connection; the peer's library queues what is beyond.
    public var maximumStreams = 512
    /// A connection without a request for so long is closed; its client makes another when it needs one.
    public var idleTimeout: Duration = .seconds(300)
    /// The answer to each request on a connection that is one too many.
    public var refusal: @Sendable (ServerRequest) async -> ServerResponse = { _ in
        ServerResponse(status: 503, headers: [HeaderField("retry-after", "5")])
    }

    /// Has the default timeouts.
    public init(host: String, port: Int, identity: TLSIdentity, requiresCertificate: Bool) {
        self.host = host
        self.port = port
        self.identity = identity
        self.requiresCertificate = requiresCertificate
    }
}

/// HTTP/2 over TLS 1.3, and HTTP/1.1 by ALPN for probes and old tools.
public final class HTTPServer: Sendable {
    private struct State {
        var listener: (any Channel)?
        /// For connections from now on; those that are open keep what they began with.
        var tls: TLSContext?
        var channels: [ObjectIdentifier: (channel: any Channel, kind: ConnectionCounts.Kind)] = [:]
        var counts: ConnectionCounts
        var stopped = false
    }

    private let configuration: ServerConfiguration
    private let service: HTTPService
    private let refusal: HTTPService
    private let state: Mutex<State>

    /// - Parameter handler: called for each request in a task of its own, which is cancelled when the peer resets the stream or goes.
    public init(configuration: ServerConfiguration, handler: @escaping @Sendable (ServerRequest) async -> ServerResponse) {
        self.configuration = configuration
        service = HTTPService(handler: handler)
        refusal = HTTPService(handler: configuration.refusal)
        state = Mutex(State(counts: ConnectionCounts(limit: configuration.maximumConnections)))
    }

    /// Binds and serves; returns the port that is bound. Throws when the address is taken or a file of the identity is bad.
    public func start() async throws -> Int {
        try await reloadIdentity()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .transport)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.configure(channel) }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
        } catch {
            let reason = (error as? IOError)?.description ?? "\(error)"
            throw TransportError.bindFailed(address: "\(configuration.host):\(configuration.port)", reason: reason)
        }
        state.withLock { $0.listener = channel }
        return channel.localAddress?.port ?? configuration.port
    }

    /// Reads the identity's files anew, for connections from now on: after a renewal. Throws when a file is bad, and goes on as before then.
    public func reloadIdentity() async throws {
        let identity = configuration.identity
        let side = TLSContext.Side.server(requiresCertificate: configuration.requiresCertificate)
        let tls = try await NIOThreadPool.singleton.runIfActive { try TLSContext(side: side, identity: identity) }
        state.withLock { $0.tls = tls }
    }

    /// Stops accepting, lets running requests end for up to `grace`, then closes what is left.
    public func shutdown(grace: Duration) async {
        let (listener, channels) = state.withLock { state in
            state.stopped = true
            defer { state.listener = nil }
            return (state.listener, state.channels.values.map(\.channel))
        }
        try? await listener?.close().get()
        guard let loop = channels.first?.eventLoop else { return }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(DrainConnection()) }
        let timer = loop.scheduleTask(in: TimeAmount(grace)) {
            for channel in channels { channel.close(promise: nil) }
        }
        try? await EventLoopFuture.andAllComplete(channels.map(\.closeFuture), on: loop).get()
        timer.cancel()
    }

    private func configure(_ channel: any Channel) throws {
        let id = ObjectIdentifier(channel)
        let tls = state.withLock { state -> TLSContext? in
            guard !state.stopped, state.counts.accept() else { return nil }
            state.channels[id] = (channel, .passing)
            return state.tls
        }
        guard let tls else { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in
                guard let gone = state.channels.removeValue(forKey: id) else { return }
                state.counts.remove(gone.kind)
            }
        }

        let remoteAddress = Self.describe(channel.remoteAddress)
        let session = try TLSSession(context: tls, serverName: nil)
        let handler = TLSHandler(session: session, timeout: configuration.handshakeTimeout) { result in
            guard case .success(let established) = result else { return }
            let isAdmitted = self.admit(id, hasCertificate: established.peer != nil)
            let service = isAdmitted ? self.service : self.refusal
            if !isAdmitted {
                // Time to ask and to be told why not.
                channel.eventLoop.scheduleTask(in: TimeAmount(TransportLimits.refusalLinger)) { channel.close(promise: nil) }
            }
            do {
                if established.applicationProtocol == "h2" {
                    let side = ServerSide(
                        service: service, peer: established.peer, remoteAddress: remoteAddress, idleTimeout: self.configuration.idleTimeout)
                    try channel.pipeline.syncOperations.addHandler(
                        HTTP2Handler(
                            side: .server(side), pingInterval: self.configuration.pingInterval,
                            maximumStreams: self.configuration.maximumStreams))
                } else {
                    try channel.pipeline.syncOperations.addHandler(
                        HTTP1Handler(service: service, peer: established.peer, remoteAddress: remoteAddress))
                }
            } catch {
                channel.close(promise: nil)
            }
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private func admit(_ id: ObjectIdentifier, hasCertificate: Bool) -> Bool {
        state.withLock { state in
            guard let channel = state.channels[id]?.channel else { return false }
            let kind = state.counts.admit(hasCertificate: hasCertificate)
            state.channels[id] = (channel, kind)
            return kind != .passing
        }
    }

    private static func describe(_ address: SocketAddress?) -> String {
        guard let address, let ip = address.ipAddress, let port = address.port else { return "unknown" }
        return ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }
}

/// Sent through a channel whose server stops: it takes no more requests and closes after those under way.
struct DrainConnection: Sendable {}
