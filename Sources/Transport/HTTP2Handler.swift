import NIOCore

/// One HTTP/2 connection on its channel, as server or client. Everything runs on the channel's event loop.
///
/// libnghttp2 runs only inside `session.receive` and `session.nextOutput`, and nothing in those touches the channel: a channel that closes
/// in the middle of a write finds no libnghttp2 frame on the stack.
final class HTTP2Handler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Side {
        case server(ServerSide)
        case client(ClientSide)
    }

    /// One request and its response.
    final class Stream {
        var inbound: InboundPipe
        var outbound: OutboundPipe?
        var inboundEnded = false
        /// Server: the handler. Client: the task that writes a streamed body. Cancelled when the stream is over.
        var task: Task<Void, Never>?
        /// Client: who waits.
        var exchange: ClientExchange?

        init(inbound: InboundPipe) { self.inbound = inbound }
    }

    let session: HTTP2Session
    let side: Side
    private(set) var context: ChannelHandlerContext?
    var streams: [Int32: Stream] = [:]
    /// The connection takes no new requests.
    var draining = false
    /// It was idle for too long, and its peer has time to see that.
    private var retiring = false
    private(set) var failure: TransportError?
    private var pumpScheduled = false
    private var pumping = false
    private let pingInterval: TimeAmount
    private var pinger: RepeatedTask?
    private var heard = true
    private var unanswered = 0
    /// From handlerAdded to the end; how other threads reach this handler.
    private(set) var link: HTTP2Link?

    /// - Parameter maximumStreams: requests that a client may have under way here; a client takes none.
    init(side: Side, pingInterval: Duration, maximumStreams: Int = 0) {
        self.side = side
        self.pingInterval = TimeAmount(pingInterval)
        if case .server = side {
            session = HTTP2Session(server: true, maximumStreams: UInt32(clamping: maximumStreams))
        } else {
            session = HTTP2Session(server: false, maximumStreams: 0)
        }
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard failure == nil else { return }
        let link = HTTP2Link(handler: NIOLoopBound(self, eventLoop: context.eventLoop))
        self.link = link
        pinger = context.eventLoop.scheduleRepeatedTask(initialDelay: pingInterval, delay: pingInterval) { _ in
            link.handler.value.checkAlive()
        }
        pump()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(.connectionLost) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        heard = true
        do {
            try session.receive(unwrapInboundIn(data), delegate: self)
        } catch {
            // libnghttp2 has queued a GOAWAY where it can say why.
            pump()
            close(.connectionLost)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        pump()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { pump() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(lost(error))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is DrainConnection { drain() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.connectionLost)
        context.fireChannelInactive()
    }

    private func lost(_ error: any Error) -> TransportError {
        // With TLS 1.3 a server refuses a client's certificate after the client's handshake is done: the alert comes here.
        if let failure = error as? TLSFailure, case .client(let client) = side, !client.isReady {
            return .handshakeFailed(address: client.address, reason: failure.reason)
        }
        return .connectionLost
    }

    // MARK: Output

    /// Pumps once at the end of this tick, however often it is asked.
    func schedulePump() {
        guard !pumpScheduled, let link else { return }
        pumpScheduled = true
        link.eventLoop.execute { link.handler.value.pump() }
    }

    private func pump() {
        pumpScheduled = false
        guard !pumping, failure == nil, let context else { return }
        pumping = true
        defer { pumping = false }
        do {
            var wrote = true
            while wrote, failure == nil {
                wrote = false
                while context.channel.isWritable, let bytes = try session.nextOutput(context.channel.allocator, delegate: self) {
                    context.write(wrapOutboundOut(bytes), promise: nil)
                    wrote = true
                }
                // A flush that empties the channel's queue makes it writable again at once.
                if wrote { context.flush() }
                if !context.channel.isWritable { break }
            }
        } catch {
            close(.connectionLost)
        }
        if failure == nil, session.isOver, !retiring { close(.connectionLost) }
    }

    // MARK: Life

    private func checkAlive() {
        guard failure == nil else { return }
        if case .server(let server) = side, server.isIdle(self) { retire() }
        if heard {
            heard = false
            unanswered = 0
            return
        }
        guard unanswered < TransportLimits.unansweredPings else {
            close(.connectionLost)
            return
        }
        unanswered += 1
        session.ping()
        pump()
    }

    /// Takes no new streams; the connection closes when those under way have ended.
    func drain() {
        guard !draining, failure == nil else { return }
        draining = true
        session.goAway()
        schedulePump()
    }

    /// Ends an idle connection: its peer is told, and closes. A request that crosses this is sent again by the peer elsewhere, which it can only
    /// know while the connection is there: so it stays for a moment.
    private func retire() {
        guard !draining, let link else { return }
        retiring = true
        drain()
        link.eventLoop.scheduleTask(in: TimeAmount(TransportLimits.refusalLinger)) { link.handler.value.close(.connectionLost) }
    }

    /// Fails everything and closes the channel.
    func close(_ error: TransportError) {
        guard failure == nil else { return }
        let context = context
        end(error)
        context?.close(promise: nil)
    }

    private func end(_ error: TransportError) {
        guard failure == nil else { return }
        failure = error
        draining = true
        pinger?.cancel()
        pinger = nil
        context = nil
        let open = streams
        streams = [:]
        for stream in open.values { finish(stream, error) }
        if case .client(let client) = side { client.end(error) }
        link = nil  // It refers to this handler: without this neither would ever be freed.
    }

    private func finish(_ stream: Stream, _ error: TransportError) {
        stream.inbound.finish(error)
        stream.outbound?.close(error)
        stream.exchange?.fail(error)
        stream.task?.cancel()
    }

    /// Resets a stream that is under way.
    func reset(_ id: Int32, _ code: HTTP2Code) {
        guard streams[id] != nil, failure == nil else { return }
        session.reset(id, code: code)
        schedulePump()
    }

    /// A pipe whose reader's progress opens the peer's window.
    func makeInbound(_ id: Int32) -> InboundPipe? {
        guard let link else { return nil }
        return InboundPipe { count in
            link.onLoop { handler in
                guard handler.failure == nil else { return }
                handler.session.consume(count, on: id)
                handler.schedulePump()
            }
        } onAbandoned: { ended in
            guard !ended else { return }
            link.onLoop { $0.readerLeft(id) }
        }
    }

    private func readerLeft(_ id: Int32) {
        // A server answers all the same, and a peer that goes on sending is held back by its window, see `received(data:on:)`.
        if case .client = side, streams[id]?.inboundEnded == false { reset(id, .cancel) }
    }
}

// MARK: - Events of the session

extension HTTP2Handler: HTTP2SessionDelegate {
    func received(head: [HeaderField], on id: Int32) {
        switch side {
        case .server(let server): if streams[id] == nil { server.accept(head, id, self) }
        case .client: respond(head, id)
        }
    }

    func received(data: ByteBuffer, on id: Int32) {
        guard let stream = streams[id] else { return session.consume(data.readableBytes, on: id) }
        // Bytes that nobody will read count no more for the others on this connection, but the stream gets no more room.
        if !stream.inbound.feed(data) { session.consumeForConnection(data.readableBytes) }
    }

    func receivedEnd(on id: Int32) {
        guard let stream = streams[id] else { return }
        stream.inboundEnded = true
        stream.inbound.finish()
    }

    func receivedSettings() {
        if case .client(let client) = side, let link { client.ready(link) }
    }

    func receivedGoAway() {
        draining = true
        if case .client(let client) = side { client.drained() }
    }

    func sentEnd(on id: Int32) {
        // The answer is out and the request still comes: what is left of it interests nobody (RFC 9113, 8.1). A request that ends by itself
        // is not reset: a client that hears of that when it has read no answer yet may take it for a failure (curl 7.88 does).
        guard case .server = side, let link, streams[id]?.inboundEnded == false else { return }
        link.eventLoop.scheduleTask(in: TimeAmount(TransportLimits.answeredLinger)) {
            let handler = link.handler.value
            if handler.streams[id]?.inboundEnded == false { handler.reset(id, .noError) }
        }
    }

    func closed(stream id: Int32, code: UInt32) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        // Refused means that the server has done nothing with it.
        if code == HTTP2Code.refusedStream.rawValue, let exchange = stream.exchange, exchange.retry() { stream.exchange = nil }
        finish(stream, .streamReset(code: code))
    }

    func nextBytes(of id: Int32, upTo limit: Int) -> OutboundPipe.Taken { streams[id]?.outbound?.take(upTo: limit) ?? .failed }
}

/// How tasks and pipes reach a connection. Values go over; what belongs to the loop is looked up there.
struct HTTP2Link: Sendable {
    let handler: NIOLoopBound<HTTP2Handler>

    var eventLoop: any EventLoop { handler.eventLoop }

    func onLoop(_ work: @escaping @Sendable (HTTP2Handler) -> Void) {
        eventLoop.execute { work(handler.value) }
    }
}
