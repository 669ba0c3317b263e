import NIOCore
import Testing
import Transport

/// What a stream may hold on its way when nobody reads: the window, what the two sockets hold, and a writer's queue, generously.
private let most = 24 << 20

@Suite(.timeLimit(.minutes(2)))
struct BackPressureTests {
    let farm: Farm

    init() throws { farm = try Farm() }

    @Test func `a producer waits for a slow reader, who gets everything`() async throws {
        let written = Seen()
        let total = 64 << 20
        try await farm.serving { _ in
            ServerResponse(
                status: 200,
                body: .stream(length: total) { writer in
                    let part = pattern(1 << 20)
                    for _ in 0..<(total >> 20) {
                        try await writer.write(part)
                        written.add("part")
                    }
                })
        } with: { (client, _) async throws in
            let response = try await client.send(ClientRequest(method: "GET", target: "/"))
            // Reads nothing until the producer stands still.
            var before = -1
            while written.values.count != before || before == 0 {
                before = written.values.count
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(before << 20 < most)
            // Meanwhile others are served.
            let other = try await client.send(ClientRequest(method: "HEAD", target: "/"))
            #expect(other.status == 200)
            var read = 0
            for try await part in response.body { read += part.readableBytes }
            #expect(read == total)
        }
    }

    @Test func `an upload waits for a slow handler, which gets everything`() async throws {
        let written = Seen()
        let events = Seen()
        let total = 64 << 20
        try await farm.serving { request in
            events.add("started")
            await events.wait(for: "go")
            var read = 0
            do { for try await part in request.body { read += part.readableBytes } } catch { read = -1 }
            return ServerResponse(status: 200, body: .bytes(ByteBuffer(string: "\(read)")))
        } with: { (client, _) async throws in
            let task = Task {
                let response = try await client.send(
                    ClientRequest(
                        method: "POST", target: "/",
                        body: .stream(length: total) { writer in
                            let part = pattern(1 << 20)
                            for _ in 0..<(total >> 20) {
                                try await writer.write(part)
                                written.add("part")
                            }
                        }), deadline: nil)
                return String(buffer: try await response.body.collect(upTo: 100))
            }
            await events.wait(for: "started")
            var before = -1
            while written.values.count != before || before == 0 {
                before = written.values.count
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(before << 20 < most)
            events.add("go")
            #expect(try await task.value == "\(total)")
        }
    }

    @Test func `readers that give up do not use up the connection's window`() async throws {
        let part = pattern(1 << 20)
        try await farm.serving { _ in
            ServerResponse(status: 200, body: .stream(length: nil) { while true { try await $0.write(part) } })
        } with: { (client, _) async throws in
            // Each leaves up to 4 MiB unread; five fill the connection's 16 MiB unless they are given back.
            for _ in 0..<40 {
                var body = try await client.send(ClientRequest(method: "GET", target: "/"), deadline: .seconds(20)).body.makeAsyncIterator()
                #expect(try await body.next() != nil)
            }
        }
    }

    @Test func `handlers that do not read do not use up the connection's window`() async throws {
        try await farm.serving { request in
            ServerResponse(status: 200)
        } with: { (client, _) async throws in
            let request = ClientRequest(method: "POST", target: "/", body: .bytes(pattern(2 << 20)))
            for _ in 0..<40 {
                let status = try await client.send(request, deadline: .seconds(20)).status
                #expect(status == 200)
            }
        }
    }
}
