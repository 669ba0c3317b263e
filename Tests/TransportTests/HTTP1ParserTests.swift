import NIOCore
import Testing

@testable import Transport

/// All events of a text, in parts of at most `step` bytes, with neighbouring body parts joined.
private func events(_ text: String, step: Int = .max) throws -> [HTTP1Parser.Event] {
    var parser = HTTP1Parser()
    var rest = ByteBuffer(string: text)
    var events: [HTTP1Parser.Event] = []
    while let part = rest.readSlice(length: min(step, rest.readableBytes)), part.readableBytes > 0 {
        parser.receive(part)
        while let event = try parser.next() {
            if case .body(let more) = event, case .body(var before)? = events.last {
                before.writeImmutableBuffer(more)
                events[events.count - 1] = .body(before)
            } else {
                events.append(event)
            }
        }
    }
    return events
}

struct HTTP1ParserTests {
    @Test func `requests follow each other`() throws {
        let found = try events("GET /a?b HTTP/1.1\r\nHost: x\r\nX-A:  b \r\n\r\nPOST / HTTP/1.1\r\nhost: x\r\nContent-Length: 3\r\n\r\nabc")
        guard case .head(let first) = found[0], case .head(let second) = found[2] else {
            Issue.record("no heads in \(found)")
            return
        }
        #expect(first.method == "GET" && first.target == "/a?b" && first.keepAlive && !first.hasBody)
        #expect(first.headers == [HeaderField("host", "x"), HeaderField("x-a", "b")])
        #expect(second.hasBody)
        #expect(found[1] == .end)
        #expect(Array(found[3...]) == [.body(ByteBuffer(string: "abc")), .end])
    }

    @Test(arguments: 1...40)
    func `parts of any size give the same`(step: Int) throws {
        let text =
            "\r\nPOST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\n"
            + "GET / HTTP/1.0\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        #expect(try events(text, step: step) == events(text))
        #expect(try events(text).count == 8)
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\nHost: x\n\n", 400), ("GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", 400), ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: x\u{0}\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1,1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\nab", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
        ("GET /" + String(repeating: "a", count: 20_000), 414), ("GET /" + String(repeating: "a", count: 20_000) + " HTTP/1.1\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + String(repeating: "X: y\r\n", count: 300) + "\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: " + String(repeating: "x", count: 70_000), 431),
    ])
    func `what is malformed is refused`(text: String, status: Int) throws {
        for step in [Int.max, 7] {
            #expect {
                try events(text, step: step)
            } throws: { error in
                (error as? HTTP1Error)?.status == status
            }
        }
    }

    @Test func `any damage gives an error or another request, and never more body than was sent`() throws {
        var random = SystemRandomNumberGenerator()
        let good = Array("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".utf8)
        for _ in 0..<2000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            var parser = HTTP1Parser()
            parser.receive(ByteBuffer(bytes: bytes))
            var body = 0
            do {
                while let event = try parser.next() { if case .body(let part) = event { body += part.readableBytes } }
            } catch {}
            #expect(body <= bytes.count)
        }
    }
}

struct RequestTargetTests {
    @Test(arguments: [
        ("/", "/", []), ("/a%2Fb+c", "/a/b+c", []), ("/?", "/", []), ("/x?a=b&c", "/x", [HeaderField("a", "b"), HeaderField("c", "")]),
        ("/x?a=%3D%26+z", "/x", [HeaderField("a", "=& z")]), ("/x?a=b=c&&", "/x", [HeaderField("a", "b=c")]), ("/%C3%A4", "/ä", []),
    ])
    func `a target is decoded`(target: String, path: String, query: [HeaderField]) {
        #expect(RequestTarget(target)?.path == path)
        #expect(RequestTarget(target)?.query == query)
    }

    @Test(arguments: ["", "*", "a", "http://x/", "/%", "/%1", "/%zz", "/%00", "/%ff", "/a b", "/a#b", "/\u{7f}", "/?x=%", "/a\r\nb"])
    func `what is no target is refused`(target: String) { #expect(RequestTarget(target) == nil) }
}
