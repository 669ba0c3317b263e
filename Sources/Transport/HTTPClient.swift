import NIOCore
import NIOPosix
import Synchronization

/// One server and how to reach it.
public struct ClientConfiguration: Sendable {
    /// A name or an address; the server's certificate must be for it.
    public var host: String
    /// The server's port.
    public var port: Int
    /// What the client shows and trusts; its files are read at each connect, so that renewed ones count from then on.
    public var identity: TLSIdentity
    /// How long connecting and the handshake may take.
    public var connectTimeout: Duration = .seconds(10)
    /// Silence after which the connection is probed; it counts as lost after two unanswered probes.
    public var pingInterval: Duration = .seconds(10)

    /// Has the default timeouts.
    public init(host: String, port: Int, identity: TLSIdentity) {
        self.host = host
        self.port = port
        self.identity = identity
    }
}

/// A client of one server: requests share one HTTP/2 connection, which is made when it is needed and made anew when it was lost.
public final class HTTPClient: Sendable {
    private struct State {
        var closed = false
        var attempts: UInt64 = 0
        var connection: (attempt: UInt64, link: EventLoopFuture<HTTP2Link>)?
    }

    private let configuration: ClientConfiguration
    private let group = MultiThreadedEventLoopGroup.singleton
    private let state = Mutex(State())
    private let address: String

    /// Opens nothing yet.
    public init(configuration: ClientConfiguration) {
        self.configuration = configuration
        let host = configuration.host
        address = (host.contains(":") ? "[\(host)]" : host) + ":\(configuration.port)"
    }

    /// Sends a request; returns when the response's head is there. The body streams in both directions at the same time.
    ///
    /// A request is sent a second time by itself only when the server has certainly not seen it. Dropping the response without reading its
    /// body to the end resets the stream.
    ///
    /// - Parameter deadline: from now until the head; nil for none. A body has no deadline but may be cancelled with its task.
    public func send(_ request: ClientRequest, deadline: Duration? = .seconds(60)) async throws -> ClientResponse {
        let exchange = try ClientExchange(request) { [weak self] in self?.start($0) ?? $0.fail(TransportError.closed) }
        let timer = deadline.map { deadline in
            group.any().scheduleTask(in: TimeAmount(deadline)) { exchange.cancel(TransportError.deadlineExceeded) }
        }
        defer { timer?.cancel() }
        start(exchange)
        return try await exchange.response()
    }

    /// Closes the connection; requests under way fail with ``TransportError/closed``.
    public func close() async {
        let connection = state.withLock { state in
            state.closed = true
            defer { state.connection = nil }
            return state.connection
        }
        guard let link = try? await connection?.link.get() else { return }
        link.onLoop { $0.close(.closed) }
    }

    /// Bodies that are still being read or written go on to their end.
    deinit {
        state.withLock { $0.connection }?.link.whenSuccess { $0.handler.value.drain() }
    }

    private func start(_ exchange: ClientExchange) {
        let (attempt, link) = connection()
        link.whenComplete { result in
            switch result {
            case .failure(let error): exchange.fail(error)
            case .success(let link):
                // On the connection's loop. One that is about to end has sent nothing of this, so a new one may be made.
                if exchange.isOver || link.handler.value.submit(exchange) { return }
                self.forget(attempt)
                self.start(exchange)
            }
        }
    }

    private func connection() -> (UInt64, EventLoopFuture<HTTP2Link>) {
        let loop = group.next()
        let promise = loop.makePromise(of: HTTP2Link.self)
        let (attempt, existing) = state.withLock { state -> (UInt64, EventLoopFuture<HTTP2Link>?) in
            if state.closed { return (0, loop.makeFailedFuture(TransportError.closed)) }
            if let connection = state.connection { return (connection.attempt, connection.link) }
            state.attempts += 1
            state.connection = (state.attempts, promise.futureResult)
            return (state.attempts, nil)
        }
        if let existing {
            promise.fail(TransportError.closed)
            return (attempt, existing)
        }
        promise.futureResult.whenFailure { [weak self] _ in self?.forget(attempt) }
        connect(on: loop, attempt, promise)
        return (attempt, promise.futureResult)
    }

    /// The next request makes a new connection.
    private func forget(_ attempt: UInt64) {
        state.withLock { if $0.connection?.attempt == attempt { $0.connection = nil } }
    }

    private func connect(on loop: any EventLoop, _ attempt: UInt64, _ promise: EventLoopPromise<HTTP2Link>) {
        let configuration = configuration
        let address = address
        let timeout = TimeAmount(configuration.connectTimeout)
        let onLost: @Sendable () -> Void = { [weak self] in self?.forget(attempt) }
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            try TLSContext(side: .client, identity: configuration.identity)
        }.flatMap { tls in
            ClientBootstrap(group: loop)
                .connectTimeout(timeout)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(.writeBufferWaterMark, value: .transport)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try Self.configure(channel, tls, configuration, address, promise, onLost)
                    }
                }
                .connect(host: configuration.host, port: configuration.port)
                .map { channel in
                    // From the open connection to the server's first frame.
                    let timer = loop.scheduleTask(in: timeout) {
                        promise.fail(TransportError.connectFailed(address: address, reason: "no answer within \(timeout)"))
                    }
                    promise.futureResult.whenComplete { result in
                        timer.cancel()
                        if case .failure = result { channel.close(promise: nil) }
                    }
                }
        }.whenFailure { error in
            switch error {
            case let error as TransportError: promise.fail(error)
            case let error as TLSFailure: promise.fail(TransportError.handshakeFailed(address: address, reason: error.reason))
            default: promise.fail(TransportError.connectFailed(address: address, reason: Self.reason(error)))
            }
        }
    }

    private static func configure(
        _ channel: any Channel, _ tls: TLSContext, _ configuration: ClientConfiguration, _ address: String,
        _ promise: EventLoopPromise<HTTP2Link>, _ onLost: @escaping @Sendable () -> Void
    ) throws {
        let session = try TLSSession(context: tls, serverName: configuration.host)
        let handler = TLSHandler(session: session, timeout: configuration.connectTimeout) { result in
            switch result {
            case .failure(let failure) where failure.mayPass:
                promise.fail(TransportError.connectFailed(address: address, reason: failure.reason))
            case .failure(let failure): promise.fail(TransportError.handshakeFailed(address: address, reason: failure.reason))
            case .success(let established):
                guard established.applicationProtocol == "h2" else {
                    return promise.fail(TransportError.handshakeFailed(address: address, reason: "the server does not speak HTTP/2"))
                }
                let side = ClientSide(address: address, authority: address) {
                    promise.succeed($0)
                } onDraining: {
                    onLost()
                } onEnd: { error in
                    onLost()
                    promise.fail(error)
                }
                do {
                    try channel.pipeline.syncOperations.addHandler(
                        HTTP2Handler(side: .client(side), pingInterval: configuration.pingInterval))
                } catch { promise.fail(error) }
            }
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return reason(first.error) }
            return "the name is not known"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout(let time): return "no answer within \(time)"
        default: return "\(error)"
        }
    }
}

extension ChannelOptions.Types.WriteBufferWaterMark {
    /// The marks of all of the transport's channels.
    static var transport: Self { .init(low: TransportLimits.writeLowWaterMark, high: TransportLimits.writeHighWaterMark) }
}
