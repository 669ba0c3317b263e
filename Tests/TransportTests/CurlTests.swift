import Glibc
import NIOCore
import NIOPosix
import Testing
import Transport

@Suite(.timeLimit(.minutes(2)), .enabled(if: access("/usr/bin/curl", X_OK) == 0, "needs curl"))
struct CurlTests {
    let farm: Farm

    init() throws { farm = try Farm() }

    private func curl(_ port: Int, _ arguments: [String]) async throws -> (status: Int32, output: String) {
        let files = try farm.files("curl")
        let output = files.directory + "/output"
        let all =
            [
                "/usr/bin/curl", "-sS", "--max-time", "60", "--cacert", files.authority, "--cert", files.certificate, "--key", files.key,
                "-o",
                output, "-w", "",
            ] + arguments.map { $0.replacing("{}", with: "https://localhost:\(port)") }
        let status = try await run(all)
        return (status, readText(output))
    }

    @Test(arguments: ["--http1.1", "--http2"])
    func `curl gets, posts and heads`(version: String) async throws {
        try await farm.serving(echo) { (_, port) async throws in
            let large = farm.directory + "/worker/large"
            writeText(String(repeating: "0123456789", count: 500_000), to: large)
            #expect(try await curl(port, [version, "{}/"]) == (0, ""))
            #expect(try await curl(port, [version, "--data-binary", "hello", "{}/"]) == (0, "hello"))
            let sized = try await curl(port, [version, "--data-binary", "@\(large)", "{}/"])
            #expect(sized.status == 0 && sized.output == readText(large))
            let chunked = try await curl(port, [version, "-H", "Transfer-Encoding: chunked", "--data-binary", "@\(large)", "{}/"])
            #expect(chunked.status == 0 && chunked.output == readText(large))
            let head = try await curl(port, [version, "--head", "{}/"])
            #expect(head.status == 0 && head.output.contains("200"))
            // Two requests on one connection.
            let twice = try await curl(port, [version, "--data-binary", "a", "{}/1", "-o", "/dev/null", "{}/2"])
            #expect(twice.status == 0)
        }
    }

    @Test func `curl is shown who it is, and refused what is malformed`() async throws {
        try await farm.serving { request in
            ServerResponse(
                status: 200,
                body: .bytes(ByteBuffer(string: "\(request.peer?.commonName ?? "-") \(request.headers.first(named: "host") ?? "-")")))
        } with: { (_, port) async throws in
            for version in ["--http1.1", "--http2"] {
                let shown = try await curl(port, [version, "{}/"])
                #expect(shown == (0, "curl localhost:\(port)"))
                #expect(try await curl(port, [version, "-w", "%{http_code}", "{}/%ff"]).status == 0)
            }
            #expect(
                try await curl(port, ["--http1.1", "-H", "Content-Length: nonsense", "-X", "POST", "{}/"]).output.contains("content-length")
            )
            #expect(try await curl(port, ["--http1.0", "--no-alpn", "{}/"]).output.hasPrefix("curl"))
        }
    }

    @Test func `an answer that is given before the request's body has come arrives whole`() async throws {
        let answered = farm.directory + "/answered"
        let body = farm.directory + "/body"
        #expect(mkfifo(body, 0o600) == 0)
        try await farm.serving { _ in
            writeText("", to: answered)
            return ServerResponse(status: 400, body: .bytes(ByteBuffer(string: "no")))
        } with: { (_, port) async throws in
            for _ in 0..<5 {
                unlink(answered)
                // The body's bytes are there a moment after the handler has answered.
                let writer = try Child(["/bin/sh", "-c", "exec >\(body); while ! test -e \(answered); do :; done; sleep 0.1; echo x"])
                #expect(try await curl(port, ["--http2", "-X", "POST", "-T", body, "{}/"]) == (0, "no"))
                _ = try await writer.wait()
            }
            // Larger than what a stream may send unread.
            let large = farm.directory + "/worker/large"
            writeText(String(repeating: "0123456789", count: 1_000_000), to: large)
            #expect(try await curl(port, ["--http2", "--data-binary", "@\(large)", "{}/"]) == (0, "no"))
        }
    }

    @Test func `a client that stands still is noticed, and its handler cancelled`() async throws {
        let events = Seen()
        let (server, port) = try await farm.server(pingInterval: .milliseconds(200)) { _ in
            events.add("started")
            try? await Task.sleep(for: .seconds(600))
            if Task.isCancelled { events.add("cancelled") }
            return ServerResponse(status: 200)
        }
        let files = try farm.files("curl")
        let child = try Child([
            "/usr/bin/curl", "-sS", "--http2", "--cacert", files.authority, "--cert", files.certificate, "--key", files.key,
            "https://localhost:\(port)/",
        ])
        await events.wait(for: "started")
        // It lives through many intervals while it answers pings.
        try await Task.sleep(for: .seconds(1))
        #expect(!events.values.contains("cancelled"))
        child.signal(SIGSTOP)
        await events.wait(for: "cancelled")
        child.signal(SIGKILL)
        #expect(try await child.wait() == -1)
        await server.shutdown(grace: .zero)
    }

    @Test func `clients that are killed in the middle do no harm`() async throws {
        let events = Seen()
        let part = pattern(200_000)
        try await farm.serving { _ in
            ServerResponse(
                status: 200,
                body: .stream(length: nil) { writer in
                    defer { events.add("over") }
                    while true { try await writer.write(part) }
                })
        } with: { (client, port) async throws in
            for round in 0..<20 {
                let files = try farm.files("curl")
                let arguments = [
                    "/usr/bin/curl", "-sS", round % 2 == 0 ? "--http2" : "--http1.1", "--cacert", files.authority, "--cert",
                    files.certificate, "--key",
                    files.key, "-o", "/dev/null", "https://localhost:\(port)/",
                ]
                try await run(arguments, killAfter: .milliseconds(20 + round * 5))
            }
            #expect(try await client.send(ClientRequest(method: "HEAD", target: "/")).status == 200)
        }
        // Every body that was begun has ended by now or ends soon: a producer left behind would hold the test up here.
    }
}

/// Runs a program to its end; -1 where it was killed.
@discardableResult
func run(_ arguments: [String], killAfter: Duration? = nil) async throws -> Int32 {
    let child = try Child(arguments, quiet: killAfter != nil)
    if let killAfter {
        try? await Task.sleep(for: killAfter)
        child.signal(SIGKILL)
    }
    return try await child.wait()
}

/// A program that runs.
struct Child {
    private let pid: pid_t

    init(_ arguments: [String], quiet: Bool = false) throws {
        var pid: pid_t = 0
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        if quiet { posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) }
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        guard posix_spawn(&pid, arguments[0], &actions, nil, pointers, environ) == 0 else { throw SocketError() }
        self.pid = pid
    }

    func signal(_ signal: Int32) { kill(pid, signal) }

    /// Its exit status, -1 where a signal ended it. Waits away from the cooperative pool.
    func wait() async throws -> Int32 {
        let pid = pid
        return try await NIOThreadPool.singleton.runIfActive {
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
        }
    }
}
