import Certificates
import Glibc
import NIOCore
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
        requiresCertificate: Bool = true, port: Int = 0, handler: @escaping @Sendable (ServerRequest) async -> ServerResponse
    ) async throws -> (server: HTTPServer, port: Int) {
        let files = try files("server", role: Role.coordinator, names: ["localhost"], addresses: ["127.0.0.1"])
        var configuration = ServerConfiguration(
            host: "127.0.0.1", port: port, identity: identity(files), requiresCertificate: requiresCertificate)
        configuration.handshakeTimeout = .seconds(1)
        let server = HTTPServer(configuration: configuration, handler: handler)
        return (server, try await server.start())
    }

    func client(_ port: Int, host: String = "127.0.0.1") throws -> HTTPClient {
        HTTPClient(configuration: ClientConfiguration(host: host, port: port, identity: identity(try files("worker", role: Role.agent))))
    }
}

/// Bytes that differ at every place, to notice what is lost, doubled or out of order.
func pattern(_ count: Int) -> ByteBuffer {
    var bytes = ByteBuffer()
    bytes.reserveCapacity(count)
    var value: UInt64 = 0x9E37_79B9_7F4A_7C15
    while bytes.readableBytes < count {
        value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.writeInteger(value)
    }
    bytes.moveWriterIndex(to: count)
    return bytes
}
