import NIOCore

/// What a client's connection knows beyond HTTP/2.
final class ClientSide {
    let address: String
    let authority: String
    private(set) var isReady = false
    private let onDraining: () -> Void
    // Both are given up at the end: they lead to the promise of this connection's link, and so back to here.
    private var onReady: ((HTTP2Link) -> Void)?
    private var onEnd: ((TransportError) -> Void)?

    /// - Parameters:
    ///   - onReady: called once, when the server has accepted our certificate, as its first frame shows.
    ///   - onEnd: called once, with or without `onReady` before.
    init(
        address: String, authority: String, onReady: @escaping (HTTP2Link) -> Void, onDraining: @escaping () -> Void,
        onEnd: @escaping (TransportError) -> Void
    ) {
        self.address = address
        self.authority = authority
        self.onReady = onReady
        self.onDraining = onDraining
        self.onEnd = onEnd
    }

    func ready(_ link: HTTP2Link) {
        guard !isReady else { return }
        isReady = true
        onReady?(link)
        onReady = nil
    }

    /// The server takes no more requests on this connection.
    func drained() { onDraining() }

    func end(_ error: TransportError) {
        defer {
            onReady = nil
            onEnd = nil
        }
        if !isReady, error == .connectionLost {
            onEnd?(.connectFailed(address: address, reason: "the server closed the connection without a reason"))
        } else {
            onEnd?(error)
        }
    }
}

extension HTTP2Handler {
    /// Starts a request; false when this connection takes no more, and nothing was sent.
    func submit(_ exchange: ClientExchange) -> Bool {
        guard failure == nil, !draining, case .client(let client) = side, let link else { return false }
        let request = exchange.request
        let head =
            [
                HeaderField(":method", request.method), HeaderField(":scheme", "https"), HeaderField(":authority", client.authority),
                HeaderField(":path", request.target),
            ] + exchange.headers
        var hasBody = true
        if case .none = request.body { hasBody = false }
        guard let id = session.submit(request: head, hasBody: hasBody), let inbound = makeInbound(id) else {
            draining = true
            client.drained()
            return false
        }
        let stream = Stream(inbound: inbound)
        streams[id] = stream
        stream.exchange = exchange
        exchange.attach(link, id)
        switch request.body {
        case .none: break
        case .bytes(let bytes): stream.outbound = OutboundPipe(whole: bytes)
        case .stream(let length, let produce):
            let pipe = HTTP2Responder(link: link, id: id).makePipe(length: length)
            stream.outbound = pipe
            stream.task = Task {
                do {
                    try await produce(BodyWriter { try await pipe.write($0) })
                    try pipe.finish()
                } catch {
                    // Whoever waits for the response learns what went wrong here, and the server that this was not the end.
                    exchange.fail(error)
                    inbound.finish(error)
                    pipe.fail()
                }
            }
        }
        schedulePump()
        return true
    }

    func respond(_ head: [HeaderField], _ id: Int32) {
        guard let stream = streams[id], let exchange = stream.exchange,
            let status = head.first(named: ":status").flatMap({ Int($0) }), status >= 200
        else { return }
        stream.exchange = nil
        exchange.succeed(
            ClientResponse(status: status, headers: head.filter { !$0.name.hasPrefix(":") }, body: stream.inbound.makeBody()))
    }
}
