import NIOCore

/// One HTTP/1.1 connection of a server: one request at a time, kept alive in between.
final class HTTP1Handler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The request under way.
    private struct Exchange {
        let number: UInt64
        let inbound: InboundPipe
        var task: Task<Void, Never>?
        var minorVersion: Int
        var keepAlive: Bool
        var inboundEnded = false
        /// Fed to the reader and not consumed yet.
        var held = 0
        var outbound: OutboundPipe?
        var chunked = false
        var headSent = false
    }

    private let service: HTTPService
    private let peer: PeerIdentity?
    private let remoteAddress: String
    private var parser = HTTP1Parser()
    private var context: ChannelHandlerContext?
    private var exchange: Exchange?
    private var requests: UInt64 = 0
    private var headTimer: Scheduled<Void>?
    private var readWanted = false
    private var pumping = false
    /// What comes is dropped; the connection ends.
    private var ending = false
    private var draining = false

    init(service: HTTPService, peer: PeerIdentity?, remoteAddress: String) {
        self.service = service
        self.peer = peer
        self.remoteAddress = remoteAddress
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        awaitHead()
    }

    func handlerRemoved(context: ChannelHandlerContext) { lose() }

    func channelInactive(context: ChannelHandlerContext) {
        lose()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is DrainConnection {
            draining = true
            if exchange == nil { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !ending else { return }
        parser.receive(unwrapInboundIn(data))
        parse()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { pump() }
        context.fireChannelWritabilityChanged()
    }

    /// Reads only while there is room for what comes.
    func read(context: ChannelHandlerContext) {
        if isFull { readWanted = true } else { context.read() }
    }

    private var isFull: Bool { !ending && (exchange?.held ?? 0) + parser.held > TransportLimits.http1Held }

    private func readOn() {
        guard readWanted, !isFull, let context else { return }
        readWanted = false
        context.read()
    }

    private func lose() {
        ending = true
        context = nil
        headTimer?.cancel()
        guard let lost = exchange else { return }
        exchange = nil
        lost.inbound.finish(TransportError.connectionLost)
        lost.outbound?.close(TransportError.connectionLost)
        lost.task?.cancel()
    }

    private func awaitHead() {
        guard let context else { return }
        headTimer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(TransportLimits.http1HeadTimeout)) {
            self.context?.close(promise: nil)
        }
    }

    // MARK: Requests

    private func parse() {
        do {
            while !ending {
                // The next request waits until this one is answered.
                if let exchange, exchange.inboundEnded { return }
                guard let event = try parser.next() else { return }
                switch event {
                case .head(let head): start(head)
                case .body(let bytes):
                    exchange?.held += bytes.readableBytes
                    if exchange?.inbound.feed(bytes) == false { exchange?.held -= bytes.readableBytes }
                case .end:
                    exchange?.inboundEnded = true
                    exchange?.inbound.finish()
                }
            }
        } catch {
            refuse(error)
        }
    }

    private func start(_ head: HTTP1Head) {
        guard let context else { return }
        guard let target = RequestTarget(head.target) else { return refuse(.bad("the target is no absolute path")) }
        headTimer?.cancel()
        requests += 1
        let number = requests
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let inbound = InboundPipe { count in
            bound.eventLoop.execute { bound.value.consumed(count, of: number) }
        } onAbandoned: { _ in
        }
        if head.expectsContinue, head.hasBody {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        }
        exchange = Exchange(number: number, inbound: inbound, minorVersion: head.minorVersion, keepAlive: head.keepAlive)
        let request = ServerRequest(
            method: head.method, path: target.path, query: target.query, headers: head.headers, peer: peer, remoteAddress: remoteAddress,
            body: inbound.makeBody())
        exchange?.task = service.start(request, HTTP1Responder(handler: bound, number: number))
    }

    private func consumed(_ count: Int, of number: UInt64) {
        guard exchange?.number == number else { return }
        exchange?.held -= count
        readOn()
    }

    /// Answers what can't be understood, and ends.
    private func refuse(_ error: HTTP1Error) {
        guard let context, !ending else { return }
        if exchange?.headSent != true {
            let text = error.reason + "\n"
            let head = "HTTP/1.1 \(error.status) \(reasonPhrase(error.status))\r\ncontent-type: text/plain\r\n"
            let rest = "content-length: \(text.utf8.count)\r\nconnection: close\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: head + rest + text)), promise: nil)
        }
        linger()
        lose()
    }

    /// Ends the connection so that the peer still gets the answer: a close with unread input would reset it.
    private func linger() {
        guard let context, !ending else { return }
        ending = true
        readOn()
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(TransportLimits.refusalLinger)) {
            context.close(promise: nil)
        }
    }

    // MARK: Responses

    fileprivate func signal(_ number: UInt64) { if exchange?.number == number { pump() } }

    fileprivate func respond(_ number: UInt64, _ status: Int, _ headers: [HeaderField], _ body: OutboundPipe?) {
        guard let context, let exchange, exchange.number == number, !ending else {
            body?.close(TransportError.connectionLost)
            return
        }
        let chunked = body != nil && headers.first(named: "content-length") == nil
        // HTTP/1.0 knows no chunks: there a body of unknown length ends with the connection.
        let keepAlive = exchange.keepAlive && !draining && !(chunked && exchange.minorVersion == 0)
        var head = "HTTP/1.1 \(status) \(reasonPhrase(status))\r\n"
        for field in headers { head += "\(field.name): \(field.value)\r\n" }
        if chunked, exchange.minorVersion == 1 { head += "transfer-encoding: chunked\r\n" }
        if !keepAlive { head += "connection: close\r\n" }
        head += "\r\n"
        self.exchange?.chunked = chunked && exchange.minorVersion == 1
        self.exchange?.keepAlive = keepAlive
        self.exchange?.headSent = true
        self.exchange?.outbound = body
        context.write(wrapOutboundOut(ByteBuffer(string: head)), promise: nil)
        if body == nil {
            context.flush()
            complete()
        } else {
            pump()
        }
    }

    private func pump() {
        guard !pumping, let context, let outbound = exchange?.outbound else { return }
        pumping = true
        var done = false
        var wrote = true
        while wrote, !done, self.context != nil {
            wrote = false
            sending: while context.channel.isWritable {
                switch outbound.take(upTo: TransportLimits.outputChunk) {
                case .nothingYet: break sending
                case .failed:
                    pumping = false
                    return context.close(promise: nil)  // The missing end shows that this is not the whole.
                case .bytes(let bytes, let last):
                    context.write(wrapOutboundOut(frame(bytes, last: last)), promise: nil)
                    wrote = true
                    done = last
                    if last { break sending }
                }
            }
            context.flush()
        }
        pumping = false
        if done { complete() }
    }

    private func frame(_ bytes: ByteBuffer, last: Bool) -> ByteBuffer {
        guard exchange?.chunked == true else { return bytes }
        var framed = ByteBuffer()
        if bytes.readableBytes > 0 {
            framed.writeString(String(bytes.readableBytes, radix: 16) + "\r\n")
            framed.writeImmutableBuffer(bytes)
            framed.writeString("\r\n")
        }
        if last { framed.writeString("0\r\n\r\n") }
        return framed
    }

    /// The response is out.
    private func complete() {
        guard let finished = exchange, let context else { return }
        if !finished.inboundEnded {
            // The rest of the request interests nobody, and the next one begins behind it.
            finished.inbound.finish(TransportError.connectionLost)
            linger()
            exchange = nil
            return
        }
        exchange = nil
        guard finished.keepAlive, !draining else { return context.close(promise: nil) }
        awaitHead()
        readOn()
        parse()
    }
}

/// Where a handler's task puts its response.
private struct HTTP1Responder: Responder {
    let handler: NIOLoopBound<HTTP1Handler>
    let number: UInt64

    func makePipe(length: Int?) -> OutboundPipe {
        OutboundPipe(length: length) { [handler, number] in handler.eventLoop.execute { handler.value.signal(number) } }
    }

    func respond(status: Int, headers: [HeaderField], body: OutboundPipe?) {
        handler.eventLoop.execute { [handler, number] in handler.value.respond(number, status, headers, body) }
    }
}

/// What a status is called; only people read it.
func reasonPhrase(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 304: "Not Modified"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 409: "Conflict"
    case 414: "URI Too Long"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Status"
    }
}
