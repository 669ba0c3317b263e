import Certificates
import Glibc
import NIOCore
import Synchronization
import Transport

/// An authority with certificates in a directory of their own, removed at the end.
final class Farm: Sendable {
    let directory: String
    let authority: Authority

    init() throws {
        var template = Array("/tmp/transport-tests.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CertificateError.file("/tmp", reason: "no temporary directory") }
        directory = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        authority = try Authority.create(commonName: "test farm")
    }

    deinit {
        for name in Self.list(directory) {
            for file in Self.list(directory + "/" + name) { unlink("\(directory)/\(name)/\(file)") }
            rmdir(directory + "/" + name)
        }
        rmdir(directory)
    }

    private static func list(_ directory: String) -> [String] {
        guard let handle = opendir(directory) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    func files(
        _ name: String, role: String = Role.client, names: [String] = [], addresses: [String] = [],
        validity: Validity = Authority.leafValidity, by authority: Authority? = nil
    ) throws -> CertificateFiles {
        let directory = self.directory + "/" + name
        mkdir(directory, 0o700)
        let issuer = authority ?? self.authority
        let issued = try issuer.issue(commonName: name, role: role, names: names, addresses: addresses, validity: validity)
        return try issuer.write(issued, to: directory)
    }

    func identity(_ files: CertificateFiles, trusting authority: CertificateFiles? = nil) -> TLSIdentity {
        TLSIdentity(
            certificateFile: files.certificate, privateKeyFile: files.key, authorityFile: (authority ?? files).authority)
    }

    func server(
        requiresCertificate: Bool = true, port: Int = 0, pingInterval: Duration = .seconds(10),
        handshakeTimeout: Duration = .seconds(60),
        handler: @escaping @Sendable (ServerRequest) async -> ServerResponse
    ) async throws -> (server: HTTPServer, port: Int) {
        let files = try files("server", role: Role.coordinator, names: ["localhost"], addresses: ["127.0.0.1"])
        var configuration = ServerConfiguration(
            host: "127.0.0.1", port: port, identity: identity(files), requiresCertificate: requiresCertificate)
        configuration.handshakeTimeout = handshakeTimeout
        configuration.pingInterval = pingInterval
        let server = HTTPServer(configuration: configuration, handler: handler)
        return (server, try await server.start())
    }

    func client(_ port: Int, host: String = "127.0.0.1") throws -> HTTPClient {
        var configuration = ClientConfiguration(host: host, port: port, identity: identity(try files("worker", role: Role.agent)))
        configuration.connectTimeout = .seconds(60)
        return HTTPClient(configuration: configuration)
    }
}

extension Farm {
    /// A server and a client of it for the time of `body`.
    func serving(
        _ handler: @escaping @Sendable (ServerRequest) async -> ServerResponse, with body: (HTTPClient, Int) async throws -> Void
    ) async throws {
        let (server, port) = try await server(handler: handler)
        let client = try client(port)
        do {
            try await body(client, port)
        } catch {
            await client.close()
            await server.shutdown(grace: .zero)
            throw error
        }
        await client.close()
        await server.shutdown(grace: .seconds(10))
    }
}

/// Answers with the request's body, as it comes.
@Sendable func echo(_ request: ServerRequest) async -> ServerResponse {
    ServerResponse(
        status: 200, body: .stream(length: nil) { writer in for try await part in request.body { try await writer.write(part) } })
}

extension BodyWriter {
    func write(inParts bytes: ByteBuffer) async throws {
        var rest = bytes
        while let part = rest.readSlice(length: min(100_000, rest.readableBytes)), part.readableBytes > 0 { try await write(part) }
    }
}

/// What happened, in order; tests wait for it.
final class Seen: Sendable {
    private let events = Mutex<[String]>([])

    var values: [String] { events.withLock { $0 } }

    func add(_ event: String) { events.withLock { $0.append(event) } }

    /// Returns when it has happened, also when this task is cancelled; the suite's time limit ends what never happens.
    func wait(for event: String) async {
        while !values.contains(event) {
            if (try? await Task.sleep(for: .milliseconds(2))) == nil { await Task.yield() }
        }
    }
}

func readText(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&part, 1, part.count, file), count > 0 { bytes += part[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}

func writeText(_ text: String, to path: String) {
    guard let file = fopen(path, "w") else { return }
    defer { fclose(file) }
    fputs(text, file)
}

/// Bytes that differ at every place, to notice what is lost, doubled or out of order.
func pattern(_ count: Int) -> ByteBuffer {
    var value: UInt32 = 0x9E37_79B9
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
        for index in 0..<count {
            value = value &* 1_664_525 &+ 1_013_904_223
            bytes[index] = UInt8(truncatingIfNeeded: value >> 24)
        }
        initialized = count
    }
    return ByteBuffer(bytes: bytes)
}
