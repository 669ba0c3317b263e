import NIOCore
import Synchronization
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(2)))
struct ConnectionLimitTests {
    let farm: Farm

    init() throws { farm = try Farm() }

    private func serving(
        requiresCertificate: Bool = true, _ change: (inout ServerConfiguration) -> Void, _ body: (Int) async throws -> Void
    ) async throws {
        let files = try farm.files("server", role: Role.coordinator, names: ["localhost"], addresses: ["127.0.0.1"])
        var configuration = ServerConfiguration(
            host: "127.0.0.1", port: 0, identity: farm.identity(files), requiresCertificate: requiresCertificate)
        configuration.refusal = { _ in ServerResponse(status: 503, body: .bytes(ByteBuffer(string: "full"))) }
        change(&configuration)
        let server = HTTPServer(configuration: configuration) { request in
            if request.path == "/wait" { try? await Task.sleep(for: .seconds(3)) }
            return ServerResponse(status: 200, body: .bytes(ByteBuffer(string: request.remoteAddress)))
        }
        let port = try await server.start()
        do { try await body(port) } catch {
            await server.shutdown(grace: .zero)
            throw error
        }
        await server.shutdown(grace: .zero)
    }

    /// Who shows no certificate.
    private func stranger(_ port: Int) throws -> HTTPClient {
        var identity = farm.identity(try farm.files("nobody"))
        identity.certificateFile = nil
        identity.privateKeyFile = nil
        return HTTPClient(configuration: ClientConfiguration(host: "127.0.0.1", port: port, identity: identity))
    }

    private func ask(_ client: HTTPClient, _ target: String = "/") async throws -> (status: Int, text: String) {
        let response = try await client.send(ClientRequest(method: "GET", target: target))
        return (response.status, String(buffer: try await response.body.collect(upTo: 1000)))
    }

    @Test func `a connection too many is told so, and there is room again when another ends`() async throws {
        try await serving {
            $0.maximumConnections = 2
        } _: { port in
            let clients = try (0..<3).map { _ in try farm.client(port) }
            #expect(try await ask(clients[0]).status == 200)
            #expect(try await ask(clients[1]).status == 200)
            let refused = try await ask(clients[2])
            #expect(refused.status == 503 && refused.text == "full")
            #expect(try await ask(clients[0]).status == 200)
            await clients[0].close()
            // The refused connection ends by itself, maybe while it is asked; the one after it finds the room.
            while (try? await ask(clients[2]))?.status != 200 { try await Task.sleep(for: .milliseconds(20)) }
            #expect(try await ask(clients[1]).status == 200)
            for client in clients { await client.close() }
        }
    }

    @Test func `those without a certificate never take the room of the others`() async throws {
        try await serving(requiresCertificate: false) {
            $0.maximumConnections = 4
        } _: { port in
            let strangers = try (0..<3).map { _ in try stranger(port) }
            #expect(try await ask(strangers[0]).status == 200)
            #expect(try await ask(strangers[1]).status == 200)
            #expect(try await ask(strangers[2]).status == 503)
            let known = try (0..<3).map { _ in try farm.client(port) }
            #expect(try await ask(known[0]).status == 200)
            #expect(try await ask(known[1]).status == 200)
            #expect(try await ask(known[2]).status == 503)
            for client in strangers + known { await client.close() }
        }
    }

    @Test func `a connection without requests is closed, and one with a long request is not`() async throws {
        try await serving {
            $0.idleTimeout = .seconds(1)
            // Also the time in which a busy machine has to answer a ping.
            $0.pingInterval = .seconds(1)
        } _: { port in
            let client = try farm.client(port)
            let first = try await ask(client).text
            var now = first
            // Each question makes it busy again: the pauses are longer than the server's patience.
            while now == first {
                try await Task.sleep(for: .seconds(3))
                let answer = try await ask(client)
                #expect(answer.status == 200)
                now = answer.text
            }
            #expect(try await ask(client, "/wait").status == 200)
            await client.close()
        }
    }

    @Test func `what is counted is given back`() {
        var counts = ConnectionCounts(limit: 4)
        var accepted = 0
        while counts.accept() { accepted += 1 }
        #expect(accepted == TransportLimits.passingConnections)
        var kinds = [counts.admit(hasCertificate: false)]
        let isAccepted = counts.accept()
        #expect(isAccepted)
        for hasCertificate in [false, false, true, true, true] { kinds.append(counts.admit(hasCertificate: hasCertificate)) }
        #expect(kinds == [.stranger, .stranger, .passing, .known, .known, .passing])
        counts.remove(.stranger)
        let next = counts.admit(hasCertificate: true)
        #expect(next == .known)
        #expect(counts.known == 3 && counts.strangers == 1)
        for kind in [ConnectionCounts.Kind.known, .known, .known, .stranger] { counts.remove(kind) }
        while counts.passing > 0 { counts.remove(.passing) }
        #expect(counts.known == 0 && counts.strangers == 0 && counts.passing == 0)
    }
}
