import NIOCore
import Testing
import Transport

@Suite(.timeLimit(.minutes(2)))
struct ExchangeTests {
    let farm: Farm

    init() throws { farm = try Farm() }

    @Test func `a request reaches the handler with its parts and the peer's name`() async throws {
        let (server, port) = try await farm.server { request in
            let text =
                "\(request.method) \(request.path) \(request.query.map { "\($0.name)=\($0.value)" }) "
                + "\(request.headers.first(named: "x-test") ?? "") \(request.peer?.commonName ?? "") \(request.peer?.role ?? "")"
            return ServerResponse(status: 201, headers: [HeaderField("x-answer", "yes")], body: .bytes(ByteBuffer(string: text)))
        }
        let client = try farm.client(port)
        let response = try await client.send(
            ClientRequest(method: "GET", target: "/a%20b?x=1&y=%26+2", headers: [HeaderField("x-test", "t")]))
        #expect(response.status == 201)
        #expect(response.headers.first(named: "x-answer") == "yes")
        let body = try await response.body.collect(upTo: 1 << 20)
        #expect(String(buffer: body) == #"GET /a b ["x=1", "y=& 2"] t worker agent"#)
        await client.close()
        await server.shutdown(grace: .seconds(1))
    }

    @Test(arguments: [0, 1, 1023, 16384, 16385, 65535, 1 << 20, 9_000_001])
    func `a body comes back as it was sent`(size: Int) async throws {
        let (server, port) = try await farm.server { request in
            ServerResponse(
                status: 200,
                body: .stream(length: nil) { writer in
                    for try await part in request.body { try await writer.write(part) }
                })
        }
        let client = try farm.client(port)
        let whole = try await client.send(ClientRequest(method: "POST", target: "/", body: .bytes(pattern(size))))
        #expect(try await whole.body.collect(upTo: 10 << 20) == pattern(size))
        let streamed = try await client.send(
            ClientRequest(
                method: "POST", target: "/",
                body: .stream(length: size) { writer in
                    var rest = pattern(size)
                    while let part = rest.readSlice(length: min(100_000, rest.readableBytes)), part.readableBytes > 0 {
                        try await writer.write(part)
                    }
                }))
        #expect(try await streamed.body.collect(upTo: 10 << 20) == pattern(size))
        await client.close()
        await server.shutdown(grace: .seconds(1))
    }
}
