import Certificates
import NIOCore
import Testing
import Transport

@Suite(.timeLimit(.minutes(2)))
struct HandshakeTests {
    let farm: Farm

    init() throws { farm = try Farm() }

    /// The reason for which a client with that identity is refused, by itself or by the server.
    private func refusal(_ port: Int, _ identity: TLSIdentity, host: String = "127.0.0.1") async throws -> String {
        let client = HTTPClient(configuration: ClientConfiguration(host: host, port: port, identity: identity))
        defer { Task { await client.close() } }
        do {
            let response = try await client.send(ClientRequest(method: "GET", target: "/"))
            return "no refusal: \(response.status)"
        } catch TransportError.handshakeFailed(_, let reason) {
            return reason
        }
    }

    @Test func `a client of another authority is refused, and told so`() async throws {
        let other = try Authority.create(commonName: "other")
        let stranger = try farm.files("stranger", by: other)
        let (server, port) = try await farm.server { _ in ServerResponse(status: 200) }
        let ours = try farm.files("ours")
        let reason = try await refusal(port, farm.identity(stranger, trusting: ours))
        #expect(reason == "the peer says that our certificate is of an unknown authority")
        // And a client does not trust a server of an authority that is not its own.
        let reversed = try await refusal(port, farm.identity(ours, trusting: stranger))
        #expect(reversed.hasPrefix("the peer's certificate is of an unknown authority"))
        await server.shutdown(grace: .zero)
    }

    @Test func `an expired client is refused, and told so`() async throws {
        let past = Validity(notBefore: .seconds(-7200), notAfter: .seconds(-3600))
        let (server, port) = try await farm.server { _ in ServerResponse(status: 200) }
        let reason = try await refusal(port, farm.identity(try farm.files("late", validity: past)))
        #expect(reason == "the peer says that our certificate has expired (or is not valid yet)")
        await server.shutdown(grace: .zero)
    }

    @Test func `a client without a certificate is refused where one is needed`() async throws {
        let (server, port) = try await farm.server { _ in ServerResponse(status: 200) }
        let files = try farm.files("nobody")
        let reason = try await refusal(
            port, TLSIdentity(certificateFile: nil, privateKeyFile: nil, authorityFile: files.authority))
        #expect(reason == "the peer wants a certificate and none was shown")
        await server.shutdown(grace: .zero)
    }

    @Test func `a client without a certificate is let through where none is needed, but not with a bad one`() async throws {
        let (server, port) = try await farm.server(requiresCertificate: false) { request in
            ServerResponse(status: request.peer == nil ? 401 : 200)
        }
        let files = try farm.files("somebody")
        let client = HTTPClient(
            configuration: ClientConfiguration(
                host: "127.0.0.1", port: port,
                identity: TLSIdentity(certificateFile: nil, privateKeyFile: nil, authorityFile: files.authority)))
        #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 401)
        await client.close()
        let stranger = try farm.files("stranger", by: Authority.create(commonName: "other"))
        let reason = try await refusal(port, farm.identity(stranger, trusting: files))
        #expect(reason == "the peer says that our certificate is of an unknown authority")
        await server.shutdown(grace: .zero)
    }

    @Test func `a server is believed only for its names and addresses`() async throws {
        let files = try farm.files("elsewhere", names: ["elsewhere.example"], addresses: ["192.0.2.1"])
        let server = HTTPServer(
            configuration: ServerConfiguration(host: "127.0.0.1", port: 0, identity: farm.identity(files), requiresCertificate: true)
        ) { _ in ServerResponse(status: 200) }
        let port = try await server.start()
        let identity = farm.identity(try farm.files("worker"))
        #expect(try await refusal(port, identity) == "the peer's certificate is for another address")
        #expect(try await refusal(port, identity, host: "localhost") == "the peer's certificate is for another host name")
        await server.shutdown(grace: .zero)
    }

    @Test func `a server's name and address are believed when they match`() async throws {
        let (server, port) = try await farm.server { _ in ServerResponse(status: 200) }
        for host in ["localhost", "127.0.0.1"] {
            let client = try farm.client(port, host: host)
            #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 200)
            await client.close()
        }
        await server.shutdown(grace: .zero)
    }

    @Test func `an expired server is not believed`() async throws {
        let past = Validity(notBefore: .seconds(-7200), notAfter: .seconds(-3600))
        let files = try farm.files("old", addresses: ["127.0.0.1"], validity: past)
        let server = HTTPServer(
            configuration: ServerConfiguration(host: "127.0.0.1", port: 0, identity: farm.identity(files), requiresCertificate: true)
        ) { _ in ServerResponse(status: 200) }
        let port = try await server.start()
        #expect(try await refusal(port, farm.identity(try farm.files("worker"))) == "the peer's certificate has expired")
        await server.shutdown(grace: .zero)
    }

    @Test func `a renewed certificate is shown from the next connection on`() async throws {
        let past = Validity(notBefore: .seconds(-7200), notAfter: .seconds(-3600))
        let files = try farm.files("renewed", addresses: ["127.0.0.1"], validity: past)
        let server = HTTPServer(
            configuration: ServerConfiguration(host: "127.0.0.1", port: 0, identity: farm.identity(files), requiresCertificate: true)
        ) { _ in ServerResponse(status: 200) }
        let port = try await server.start()
        let identity = farm.identity(try farm.files("worker"))
        #expect(try await refusal(port, identity) == "the peer's certificate has expired")
        _ = try farm.files("renewed", addresses: ["127.0.0.1"])
        try await server.reloadIdentity()
        #expect(try await refusal(port, identity) == "no refusal: 200")
        await server.shutdown(grace: .zero)
    }

    @Test func `nobody at the address is a failed connect`() async throws {
        let silent = try SilentListener()
        let port = silent.port
        silent.close()
        let client = try farm.client(port)
        await #expect {
            try await client.send(ClientRequest(method: "GET", target: "/"))
        } throws: { error in
            if case TransportError.connectFailed = error { true } else { false }
        }
    }

    /// As behind a proxy whose coordinator is being started again: the client may try again.
    @Test func `a connection that is never secure is a failed connect, not a refusal`() async throws {
        let silent = try SilentListener()
        defer { silent.close() }
        let files = try farm.files("worker")
        var configuration = ClientConfiguration(host: "127.0.0.1", port: silent.port, identity: farm.identity(files))
        configuration.connectTimeout = .milliseconds(200)
        let client = HTTPClient(configuration: configuration)
        await #expect {
            try await client.send(ClientRequest(method: "GET", target: "/"))
        } throws: { error in
            if case TransportError.connectFailed = error { true } else { false }
        }
        await client.close()
    }

    @Test func `files that can't be used are named`() async throws {
        let files = try farm.files("worker")
        let missing = TLSIdentity(
            certificateFile: files.certificate, privateKeyFile: files.key, authorityFile: "/nonexistent/authority.pem")
        await #expect {
            try await HTTPClient(configuration: ClientConfiguration(host: "127.0.0.1", port: 1, identity: missing))
                .send(ClientRequest(method: "GET", target: "/"))
        } throws: { error in
            if case TransportError.badIdentity("/nonexistent/authority.pem", _) = error { true } else { false }
        }
        let swapped = TLSIdentity(
            certificateFile: files.certificate, privateKeyFile: try farm.files("other").key, authorityFile: files.authority)
        await #expect(throws: TransportError.self) {
            try await HTTPServer(
                configuration: ServerConfiguration(host: "127.0.0.1", port: 0, identity: swapped, requiresCertificate: true)
            ) { _ in ServerResponse(status: 200) }.start()
        }
    }

    @Test(arguments: ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "", "\u{16}\u{03}\u{01}", String(repeating: "\u{0}", count: 70_000)])
    func `a peer that does not speak TLS is let go, and others are served`(text: String) async throws {
        let (server, port) = try await farm.server(handshakeTimeout: .seconds(3)) { _ in ServerResponse(status: 200) }
        let raw = try RawConnection(port: port)
        raw.send(text)
        #expect(await raw.readsToEnd())
        let client = try farm.client(port)
        #expect(try await client.send(ClientRequest(method: "GET", target: "/")).status == 200)
        await client.close()
        await server.shutdown(grace: .zero)
    }

    @Test func `a taken port is refused by name`() async throws {
        let (server, port) = try await farm.server { _ in ServerResponse(status: 200) }
        await #expect {
            _ = try await farm.server(port: port) { _ in ServerResponse(status: 200) }
        } throws: { error in
            if case TransportError.bindFailed = error { true } else { false }
        }
        await server.shutdown(grace: .zero)
    }
}
