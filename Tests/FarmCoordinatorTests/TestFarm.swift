import Certificates
import Daemon
import FarmAPI
@testable import FarmCoordinator
import Glibc
import Logging
import NIOCore
import Testing
import Transport

/// A coordinator on a free loopback port with certificates and a directory of its own.
final class TestFarm: Sendable {
    let directory: String
    let service: CoordinatorService
    let token: String
    private let running: Task<Void, any Error>

    static let agentName = "agent-1"

    private init(directory: String, service: CoordinatorService, token: String) {
        self.directory = directory
        self.service = service
        self.token = token
        running = Task { try await service.run() }
    }

    /// Runs `body` with a farm that is gone afterwards.
    static func with(
        _ change: (inout CoordinatorConfiguration) -> Void = { _ in }, _ body: (TestFarm) async throws -> Void
    ) async throws {
        let directory = try temporaryDirectory()
        defer { remove(directory) }
        let endpoint = Endpoint(host: "127.0.0.1", port: 0)
        _ = try FarmSetup.initialize(data: "\(directory)/data", listen: endpoint, names: ["127.0.0.1"], client: "admin")
        var configuration = try CoordinatorConfiguration(file: nil, environment: { _ in nil }, flags: ["data": "\(directory)/data"])
        configuration.listen = endpoint
        change(&configuration)
        _ = try FarmSetup.enrollAgent(agentName, addresses: ["127.0.0.1"], out: "\(directory)/agent", configuration: configuration)
        let token = try TokenStore.create(name: "page", file: configuration.tokens)
        let service = try await CoordinatorService.start(configuration, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let farm = TestFarm(directory: directory, service: service, token: token)
        do { try await body(farm) } catch {
            await farm.stop()
            throw error
        }
        await farm.stop()
    }

    private func stop() async {
        running.cancel()
        _ = try? await running.value
    }

    /// How a client shows who it is.
    enum Identity: Sendable, CaseIterable {
        case client, agent, coordinator, nobody
    }

    func client(_ identity: Identity = .client) -> HTTPClient {
        let folder: String? =
            switch identity {
            case .client: "\(directory)/data/clients/admin"
            case .agent: "\(directory)/agent"
            case .coordinator: "\(directory)/data"
            case .nobody: nil
            }
        let tls = TLSIdentity(
            certificateFile: folder.map { "\($0)/certificate.pem" }, privateKeyFile: folder.map { "\($0)/key.pem" },
            authorityFile: "\(directory)/data/authority/authority.pem")
        return HTTPClient(
            configuration: ClientConfiguration(host: service.endpoint.host, port: service.endpoint.port, identity: tls))
    }

    /// One request on a connection of its own.
    func ask(
        _ method: String, _ target: String, as identity: Identity = .client, headers: [HeaderField] = [], body: OutboundBody = .none
    ) async throws -> Answer {
        let client = client(identity)
        do {
            let response = try await client.send(ClientRequest(method: method, target: target, headers: headers, body: body))
            let bytes = try await response.body.collect(upTo: 64 << 20)
            await client.close()
            return Answer(status: response.status, headers: response.headers, body: Array(bytes.readableBytesView))
        } catch {
            await client.close()
            throw error
        }
    }

    struct Answer: Sendable {
        var status: Int
        var headers: [HeaderField]
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }

        func json<T: Decodable>(_ type: T.Type) throws -> T { try FarmJSON.decode(type, from: body) }
    }

    static func temporaryDirectory() throws -> String {
        var template = Array("/tmp/farm-test-XXXXXX".utf8CString)
        guard let path = template.withUnsafeMutableBufferPointer({ $0.baseAddress.flatMap { mkdtemp($0) } }) else { throw SetupFailed() }
        return String(cString: path)
    }

    static func remove(_ directory: String) { try? FileAccess.removeTree(directory) }

    struct SetupFailed: Error {}
}

/// A body of these bytes.
func bytes(_ bytes: some Sequence<UInt8>) -> OutboundBody { .bytes(ByteBuffer(bytes: bytes)) }
