/// Where a response goes: one stream of HTTP/2, or an HTTP/1.1 connection.
protocol Responder: Sendable {
    /// A pipe for a streamed body, which signals the connection when there is something to take.
    func makePipe(length: Int?) -> OutboundPipe
    /// Sends the head, and then what the pipe gives. Called once. A connection that is gone closes the pipe.
    func respond(status: Int, headers: [HeaderField], body: OutboundPipe?)
}

/// Runs a server's handler and hands what it answers to the connection.
struct HTTPService: Sendable {
    let handler: @Sendable (ServerRequest) async -> ServerResponse

    /// Starts the request's task; the connection owns it and cancels it when the peer is gone.
    func start(_ request: ServerRequest, _ responder: some Responder) -> Task<Void, Never> {
        let handler = handler
        let method = request.method
        return Task { [request] in
            await Self.send(await handler(request), to: method, responder)
        }
    }

    private static func send(_ response: ServerResponse, to method: String, _ responder: some Responder) async {
        var headers = response.headers.filter { !HeaderRules.framing.contains($0.name) }
        guard (200...999).contains(response.status), headers.allSatisfy(HeaderRules.isSendable) else {
            return responder.respond(status: 500, headers: [], body: nil)
        }
        let bare = response.status == 204 || response.status == 304
        switch response.body {
        case .none:
            if !bare { headers.append(HeaderField("content-length", "0")) }
            responder.respond(status: response.status, headers: headers, body: nil)
        case .bytes(let bytes):
            if !bare { headers.append(HeaderField("content-length", String(bytes.readableBytes))) }
            let empty = bare || method == "HEAD" || bytes.readableBytes == 0
            responder.respond(status: response.status, headers: headers, body: empty ? nil : OutboundPipe(whole: bytes))
        case .stream(let length, let produce):
            if let length, !bare { headers.append(HeaderField("content-length", String(length))) }
            guard !bare, method != "HEAD" else {
                return responder.respond(status: response.status, headers: headers, body: nil)
            }
            let pipe = responder.makePipe(length: length)
            responder.respond(status: response.status, headers: headers, body: pipe)
            do {
                try await produce(BodyWriter { try await pipe.write($0) })
                try pipe.finish()
            } catch {
                pipe.fail()  // The stream is reset: its reader must not take a part for the whole.
            }
        }
    }
}

/// Which header fields may be sent.
enum HeaderRules {
    /// Fields that say how a body is framed, or hop by hop: the transport writes those itself.
    static let framing: Set<String> = [
        "connection", "content-length", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade",
    ]

    /// A lower-case token as name, and a value without control characters: nothing that could start another field or message.
    static func isSendable(_ field: HeaderField) -> Bool {
        !field.name.isEmpty && field.name.utf8.allSatisfy { isToken($0) && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
            && field.value.utf8.allSatisfy { ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }
    }

    /// A character of a token (RFC 9110, 5.6.2).
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
