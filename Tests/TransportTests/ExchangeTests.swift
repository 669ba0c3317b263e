import NIOCore
import Testing
import Transport

@Suite(.timeLimit(.minutes(2)))
struct ExchangeTests {
    let farm: Farm

    init() throws { farm = try Farm() }

    @Test func `a request reaches the handler with its parts and the peer's name`() async throws {
        try await farm.serving { request in
            let parts = [
                request.method, request.path, "\(request.query.map { "\($0.name)=\($0.value)" })", request.headers.first(named: "x-test"),
                request.peer?.commonName, request.peer?.role, request.headers.first(named: "content-length"),
            ]
            return ServerResponse(
                status: 201, headers: [HeaderField("x-answer", "yes")],
                body: .bytes(ByteBuffer(string: parts.map { $0 ?? "-" }.joined(separator: " "))))
        } with: { (client, _) async throws in
            let response = try await client.send(
                ClientRequest(method: "GET", target: "/a%20b?x=1&y=%26+2", headers: [HeaderField("x-test", "t")]))
            #expect(response.status == 201)
            #expect(response.headers.first(named: "x-answer") == "yes")
            let body = try await response.body.collect(upTo: 1 << 20)
            #expect(String(buffer: body) == #"GET /a b ["x=1", "y=& 2"] t worker agent -"#)
        }
    }

    @Test(arguments: [0, 1, 1023, 16384, 16385, 65535, 1 << 20, 9_000_001])
    func `a body comes back as it was sent`(size: Int) async throws {
        try await farm.serving(echo) { (client, _) async throws in
            let whole = try await client.send(ClientRequest(method: "POST", target: "/", body: .bytes(pattern(size))))
            #expect(try await whole.body.collect(upTo: 10 << 20) == pattern(size))
            for length in [size, nil] {
                let streamed = try await client.send(
                    ClientRequest(method: "POST", target: "/", body: .stream(length: length) { try await $0.write(inParts: pattern(size)) })
                )
                #expect(streamed.headers.first(named: "content-length") == nil)
                #expect(try await streamed.body.collect(upTo: 10 << 20) == pattern(size))
            }
        }
    }

    @Test func `two hundred requests at once share one connection`() async throws {
        let seen = Seen()
        try await farm.serving { request in
            seen.add(request.remoteAddress)
            return await echo(request)
        } with: { (client, _) async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let sent = ByteBuffer(string: String(repeating: "\(number) ", count: number * 50))
                        let response = try await client.send(ClientRequest(method: "POST", target: "/", body: .bytes(sent)))
                        #expect(try await response.body.collect(upTo: 1 << 20) == sent)
                    }
                }
                try await group.waitForAll()
            }
            #expect(seen.values.count == 200)
            #expect(Set(seen.values).count == 1)
        }
    }

    @Test func `a response begins before the request has ended, and both go on`() async throws {
        try await farm.serving(echo) { (client, _) async throws in
            let (lines, input) = AsyncStream.makeStream(of: String.self)
            let response = try await client.send(
                ClientRequest(
                    method: "POST", target: "/",
                    body: .stream(length: nil) { writer in
                        for await line in lines { try await writer.write(Array(line.utf8)) }
                    }))
            var body = response.body.makeAsyncIterator()
            for line in ["one", "two", "three"] {
                input.yield(line)
                #expect(try await body.next().map { String(buffer: $0) } == line)
            }
            input.finish()
            #expect(try await body.next() == nil)
        }
    }

    @Test func `a HEAD response has the length and no body`() async throws {
        try await farm.serving { _ in
            ServerResponse(status: 200, body: .bytes(ByteBuffer(string: "hello")))
        } with: { (client, _) async throws in
            let response = try await client.send(ClientRequest(method: "HEAD", target: "/"))
            #expect(response.headers.first(named: "content-length") == "5")
            #expect(try await response.body.collect(upTo: 10).readableBytes == 0)
        }
    }

    @Test func `an early answer stops a long upload without an error for the reader`() async throws {
        try await farm.serving { _ in
            ServerResponse(status: 403, body: .bytes(ByteBuffer(string: "no")))
        } with: { (client, _) async throws in
            let part = pattern(100_000)
            let response = try await client.send(
                ClientRequest(method: "POST", target: "/", body: .stream(length: nil) { while true { try await $0.write(part) } }))
            #expect(response.status == 403)
            #expect(String(buffer: try await response.body.collect(upTo: 10)) == "no")
            // The connection is as good as before.
            #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 403)
        }
    }

    @Test func `a body of another length than announced is an error for both`() async throws {
        try await farm.serving { request in
            if request.path == "/short" {
                return ServerResponse(status: 200, body: .stream(length: 10) { try await $0.write(Array("short".utf8)) })
            }
            return await echo(request)
        } with: { (client, _) async throws in
            let response = try await client.send(ClientRequest(method: "GET", target: "/short"))
            await #expect(throws: TransportError.streamReset(code: 2)) { try await response.body.collect(upTo: 100) }
            await #expect(throws: TransportError.wrongBodyLength) {
                let response = try await client.send(
                    ClientRequest(method: "POST", target: "/", body: .stream(length: 3) { try await $0.write(Array("long".utf8)) }))
                _ = try await response.body.collect(upTo: 100)
            }
        }
    }

    @Test func `what can't be sent is refused by name`() async throws {
        try await farm.serving { request in
            ServerResponse(status: 200, headers: [HeaderField("x-bad", "a\r\nset-cookie: b")])
        } with: { (client, _) async throws in
            await #expect(throws: TransportError.invalidHeader(name: "x-a")) {
                try await client.send(ClientRequest(method: "GET", target: "/", headers: [HeaderField("x-a", "1\r\nx-b: 2")]))
            }
            await #expect(throws: TransportError.invalidHeader(name: ":path")) {
                try await client.send(ClientRequest(method: "GET", target: "no path"))
            }
            #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 500)
        }
    }

    @Test func `a head beyond the limit is reset, and the connection goes on`() async throws {
        try await farm.serving(echo) { (client, _) async throws in
            let large = HeaderField("x-large", String(repeating: "x", count: 60_000))
            #expect(try await client.send(ClientRequest(method: "GET", target: "/", headers: [large])).status == 200)
            let many = (0..<300).map { HeaderField("x-\($0)", "1") }
            await #expect(throws: TransportError.self) { try await client.send(ClientRequest(method: "GET", target: "/", headers: many)) }
            #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 200)
        }
    }

    @Test func `a body larger than its reader takes is refused`() async throws {
        try await farm.serving(echo) { (client, _) async throws in
            let response = try await client.send(ClientRequest(method: "POST", target: "/", body: .bytes(pattern(1000))))
            await #expect(throws: TransportError.bodyTooLarge(limit: 999)) { try await response.body.collect(upTo: 999) }
        }
    }
}
