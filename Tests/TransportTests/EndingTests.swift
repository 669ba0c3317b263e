import NIOCore
import Testing
import Transport

@Suite(.timeLimit(.minutes(2)))
struct EndingTests {
    let farm: Farm

    init() throws { farm = try Farm() }

    @Test func `cancelling a waiting client cancels the handler`() async throws {
        let events = Seen()
        try await farm.serving { _ in
            events.add("started")
            try? await Task.sleep(for: .seconds(600))
            if Task.isCancelled { events.add("cancelled") }
            return ServerResponse(status: 200)
        } with: { (client, _) async throws in
            let task = Task { try await client.send(ClientRequest(method: "GET", target: "/")) }
            await events.wait(for: "started")
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            await events.wait(for: "cancelled")
        }
    }

    @Test func `dropping a response ends its producer`() async throws {
        let events = Seen()
        let part = pattern(10_000)
        try await farm.serving { _ in
            ServerResponse(
                status: 200,
                body: .stream(length: nil) { writer in
                    do {
                        while true { try await writer.write(part) }
                    } catch {
                        events.add("ended")
                        throw error
                    }
                })
        } with: { (client, _) async throws in
            let status = try await client.send(ClientRequest(method: "GET", target: "/")).status
            #expect(status == 200)
            await events.wait(for: "ended")
        }
    }

    @Test func `cancelling a reader of a body ends its producer`() async throws {
        let events = Seen()
        try await farm.serving { _ in
            ServerResponse(
                status: 200,
                body: .stream(length: nil) { writer in
                    try await writer.write(Array("first".utf8))
                    try? await Task.sleep(for: .seconds(600))
                    if Task.isCancelled { events.add("cancelled") }
                })
        } with: { (client, _) async throws in
            let task = Task {
                let response = try await client.send(ClientRequest(method: "GET", target: "/"))
                for try await _ in response.body { events.add("read") }
            }
            await events.wait(for: "read")
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            await events.wait(for: "cancelled")
        }
    }

    @Test func `a handler that fails in its body resets the stream, and the next request is served`() async throws {
        struct Failure: Error {}
        try await farm.serving { request in
            guard request.path == "/fail" else { return ServerResponse(status: 204) }
            return ServerResponse(
                status: 200,
                body: .stream(length: nil) { writer in
                    try await writer.write(Array("part".utf8))
                    throw Failure()
                })
        } with: { (client, _) async throws in
            let response = try await client.send(ClientRequest(method: "GET", target: "/fail"))
            await #expect(throws: TransportError.streamReset(code: 2)) { try await response.body.collect(upTo: 100) }
            #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 204)
        }
    }

    @Test func `a client's failing body fails its request with that error, and the handler sees a reset`() async throws {
        struct Failure: Error {}
        let events = Seen()
        try await farm.serving { request in
            events.add("started")
            do {
                _ = try await request.body.collect(upTo: 1 << 20)
                events.add("complete")
            } catch {
                events.add("\(error)")
            }
            return ServerResponse(status: 200)
        } with: { (client, _) async throws in
            await #expect(throws: Failure.self) {
                try await client.send(
                    ClientRequest(
                        method: "POST", target: "/",
                        body: .stream(length: nil) { _ in
                            await events.wait(for: "started")
                            throw Failure()
                        }))
            }
            await events.wait(for: "\(TransportError.streamReset(code: 2))")
        }
    }

    @Test func `a deadline ends a request, and the connection goes on`() async throws {
        let events = Seen()
        try await farm.serving { request in
            guard request.path == "/slow" else { return ServerResponse(status: 204) }
            events.add("started")
            try? await Task.sleep(for: .seconds(600))
            events.add("cancelled")
            return ServerResponse(status: 200)
        } with: { (client, _) async throws in
            #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 204)
            // On a busy machine the deadline may pass before the handler has begun: then once more.
            while !events.values.contains("started") {
                await #expect(throws: TransportError.deadlineExceeded) {
                    try await client.send(ClientRequest(method: "GET", target: "/slow"), deadline: .milliseconds(100))
                }
            }
            await events.wait(for: "cancelled")
            #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 204)
        }
    }

    @Test func `a server that went and came back is used again`() async throws {
        let events = Seen()
        let handler: @Sendable (ServerRequest) async -> ServerResponse = { request in
            guard request.path == "/wait" else { return ServerResponse(status: 204) }
            events.add("waiting")
            try? await Task.sleep(for: .seconds(600))
            events.add("cancelled")
            return ServerResponse(status: 200)
        }
        let (first, port) = try await farm.server(handler: handler)
        let client = try farm.client(port)
        let task = Task { try await client.send(ClientRequest(method: "GET", target: "/wait")) }
        await events.wait(for: "waiting")
        await first.shutdown(grace: .zero)
        await #expect(throws: TransportError.connectionLost) { try await task.value }
        await events.wait(for: "cancelled")
        await #expect(throws: TransportError.self) { try await client.send(ClientRequest(method: "GET", target: "/")) }

        let (second, _) = try await farm.server(port: port, handler: handler)
        #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 204)
        await client.close()
        await #expect(throws: TransportError.closed) { try await client.send(ClientRequest(method: "GET", target: "/")) }
        await second.shutdown(grace: .seconds(5))
    }

    @Test func `a body outlives the client that it came from`() async throws {
        let (server, port) = try await farm.server { _ in ServerResponse(status: 200, body: .bytes(pattern(8 << 20))) }
        let response = try await farm.client(port).send(ClientRequest(method: "GET", target: "/"))
        #expect(try await response.body.collect(upTo: 8 << 20) == pattern(8 << 20))
        await server.shutdown(grace: .seconds(5))
    }

    @Test func `a shutdown lets a running request end`() async throws {
        let events = Seen()
        let (server, port) = try await farm.server { _ in
            events.add("running")
            await events.wait(for: "go")
            return ServerResponse(status: 200, body: .bytes(pattern(1 << 20)))
        }
        let client = try farm.client(port)
        let request = Task {
            try await client.send(ClientRequest(method: "GET", target: "/")).body.collect(upTo: 2 << 20)
        }
        await events.wait(for: "running")
        let shutdown = Task { await server.shutdown(grace: .seconds(60)) }
        // The port is free only when the server no longer listens.
        while (try? await farm.client(port).send(ClientRequest(method: "GET", target: "/"), deadline: .milliseconds(200))) != nil {}
        events.add("go")
        #expect(try await request.value == pattern(1 << 20))
        await shutdown.value
        await client.close()
    }

    @Test func `a peer that no longer answers is noticed`() async throws {
        // The listener accepts in the kernel and nobody ever reads: connected, and silent.
        let silent = try SilentListener()
        var configuration = ClientConfiguration(
            host: "127.0.0.1", port: silent.port, identity: farm.identity(try farm.files("worker", role: Role.agent)))
        configuration.connectTimeout = .milliseconds(200)
        let client = HTTPClient(configuration: configuration)
        await #expect(throws: TransportError.self) { try await client.send(ClientRequest(method: "GET", target: "/"), deadline: nil) }
        await client.close()
    }

    @Test func `connections that are torn down in the middle leave nothing behind`() async throws {
        let events = Seen()
        let (server, port) = try await farm.server { request in
            ServerResponse(
                status: 200,
                body: .stream(length: nil) { writer in
                    defer { events.add("over") }
                    for try await part in request.body { try await writer.write(part) }
                })
        }
        let part = pattern(50_000)  // Made once: a writer that computes without a pause would leave the others no thread.
        for round in 0..<30 {
            let client = try farm.client(port)
            let tasks = (0..<4).map { _ in
                Task {
                    let response = try await client.send(
                        ClientRequest(
                            method: "POST", target: "/",
                            body: .stream(length: nil) { while true { try await $0.write(part) } }))
                    var read = 0
                    for try await part in response.body { read += part.readableBytes }
                }
            }
            await Task.yield()
            if round % 3 > 0 { try await Task.sleep(for: .milliseconds(round % 7)) }
            await client.close()
            for task in tasks { await #expect(throws: (any Error).self) { try await task.value } }
        }
        let client = try farm.client(port)
        let response = try await client.send(ClientRequest(method: "POST", target: "/", body: .bytes(pattern(100))))
        #expect(try await response.body.collect(upTo: 100) == pattern(100))
        await client.close()
        await server.shutdown(grace: .seconds(5))
    }
}
