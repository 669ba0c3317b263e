import NIOCore

/// What a server's connection knows beyond HTTP/2.
final class ServerSide {
    let service: HTTPService
    let peer: PeerIdentity?
    let remoteAddress: String
    /// Without a request for so long the connection is closed.
    let idleTimeout: Duration
    /// When a request was under way last.
    private var lastBusy = ContinuousClock.now

    init(service: HTTPService, peer: PeerIdentity?, remoteAddress: String, idleTimeout: Duration) {
        self.service = service
        self.peer = peer
        self.remoteAddress = remoteAddress
        self.idleTimeout = idleTimeout
    }

    /// Looks whether the connection has been idle for too long.
    func isIdle(_ connection: HTTP2Handler) -> Bool {
        let now = ContinuousClock.now
        guard connection.streams.isEmpty else {
            lastBusy = now
            return false
        }
        return now - lastBusy >= idleTimeout
    }

    /// Starts the task of a new request.
    func accept(_ head: [HeaderField], _ id: Int32, _ connection: HTTP2Handler) {
        guard let inbound = connection.makeInbound(id), let link = connection.link else { return }
        let stream = HTTP2Handler.Stream(inbound: inbound)
        connection.streams[id] = stream
        lastBusy = .now
        var method = ""
        var target = ""
        var headers: [HeaderField] = []
        headers.reserveCapacity(head.count)
        for field in head {
            switch field.name {
            case ":method": method = field.value
            case ":path": target = field.value
            case ":authority": headers.append(HeaderField("host", field.value))
            case ":scheme": break
            default: headers.append(field)
            }
        }
        guard let target = RequestTarget(target) else {
            inbound.abandon()
            connection.session.submit(response: [HeaderField(":status", "400")], on: id, hasBody: false)
            return
        }
        let request = ServerRequest(
            method: method, path: target.path, query: target.query, headers: headers, peer: peer, remoteAddress: remoteAddress,
            body: inbound.makeBody())
        stream.task = service.start(request, HTTP2Responder(link: link, id: id))
    }
}

/// Where a handler's task puts its response.
struct HTTP2Responder: Responder {
    let link: HTTP2Link
    let id: Int32

    func makePipe(length: Int?) -> OutboundPipe {
        OutboundPipe(length: length) { [link, id] in
            link.onLoop { handler in
                guard handler.streams[id] != nil, handler.failure == nil else { return }
                handler.session.resume(id)
                handler.schedulePump()
            }
        }
    }

    func respond(status: Int, headers: [HeaderField], body: OutboundPipe?) {
        let head = [HeaderField(":status", String(status))] + headers
        link.onLoop { [id] handler in
            guard let stream = handler.streams[id], handler.failure == nil else {
                body?.close(TransportError.connectionLost)
                return
            }
            stream.outbound = body
            handler.session.submit(response: head, on: id, hasBody: body != nil)
            handler.schedulePump()
        }
    }
}
