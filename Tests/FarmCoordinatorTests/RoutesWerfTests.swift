import BuildPlan
import Digests
import FarmAPI
import FileTree
import NIOCore
import Testing
import Transport

@testable import FarmCoordinator

@Suite("What a werf.yaml's build asks of the routes")
struct RoutesWerfTests {
    private func submit(_ farm: TestFarm, _ dockerfile: String, context: Digest? = nil) async throws -> SubmitResponse {
        let request = SubmitRequest(
            project: "app", dockerfile: dockerfile, dockerfileName: "Dockerfile", contextRoot: context, options: BuildOptions(),
            requestID: "r\(UInt64.random(in: .min ... .max))")
        return try await farm.ask("POST", "/api/v1/builds", body: bytes(try FarmJSON.encode(request))).json(SubmitResponse.self)
    }

    /// Submits a build that reads one file, and sends that.
    private func build(_ farm: TestFarm, of file: [UInt8]) async throws -> String {
        let root = TreeObject(entries: [
            TreeEntry(name: Array("a".utf8), mode: 0o644, modified: 1, content: .file(Digest.of(file), size: UInt64(file.count)))
        ])
        let build = try await submit(farm, "FROM scratch\nCOPY a /\n", context: root.digest).build
        let object = root.encoded()
        let framed = withUnsafeBytes(of: UInt32(object.count).littleEndian) { Array($0) } + object
        #expect(try await farm.ask("POST", "/api/v1/trees", body: bytes(framed)).status == 204)
        #expect(try await farm.ask("POST", "/api/v1/builds/\(build)/start").status == 204)
        let client = farm.client()
        let response = try await client.send(ClientRequest(method: "GET", target: "/api/v1/builds/\(build)/events"))
        for try await event in JSONLines<BuildEvent>(body: response.body) { if case .needsContents = event.kind { break } }
        await client.close()
        var pack = Array("FCP1".utf8) + [1] + Digest.of(file).bytes
        pack += withUnsafeBytes(of: UInt64(file.count).littleEndian) { Array($0) } + file + [0]
        #expect(try await farm.ask("POST", "/api/v1/builds/\(build)/contents", body: bytes(pack)).status == 204)
        return build
    }

    @Test func `File contents that an open build reads stay, whatever the limit, and go after its end`() async throws {
        try await TestFarm.with {
            $0.contextLimit = 1
        } _: { farm async throws in
            func isThere(_ text: String) async throws -> Bool {
                try await farm.ask("POST", "/api/v1/agent/contents", as: .agent, body: bytes(Digest.of(text).bytes)).status == 200
            }
            let first = try await build(farm, of: Array("first".utf8))
            #expect(try await isThere("first"))
            _ = try await build(farm, of: Array("second".utf8))
            #expect(try await isThere("first"))
            #expect(try await farm.ask("POST", "/api/v1/builds/\(first)/cancel").status == 204)
            _ = try await build(farm, of: Array("third".utf8))
            #expect(try await !isThere("first"))
            #expect(try await isThere("second"))
        }
    }

    @Test func `Secrets are taken from clients alone, within limits, and an answer never has one`() async throws {
        try await TestFarm.with { farm async throws in
            let build = try await submit(farm, "FROM scratch\nWORKDIR /a\n").build
            let target = "/api/v1/builds/\(build)/secrets"
            func post(_ json: String, as identity: TestFarm.Identity = .client, to target: String) async throws -> TestFarm.Answer {
                try await farm.ask("POST", target, as: identity, body: bytes(Array(json.utf8)))
            }
            #expect(try await post(#"{"token":"Zm9vYmFy"}"#, to: target).status == 204)
            #expect(try await post("{}", to: target).status == 204)
            let bad = try await post(#"{"token":"hunter2!"}"#, to: target)
            #expect(bad.status == 400)
            #expect(bad.text.contains("token"))
            #expect(!bad.text.contains("hunter"))
            let large = String(repeating: "AAAA", count: BuildSecrets.valueLimit / 3 + 1)
            let refused = try await post("{\"token\":\"\(large)\"}", to: target)
            #expect(refused.status == 400)
            #expect(refused.text.contains("500 KiB"))
            #expect(try await post("{}", to: "/api/v1/builds/none/secrets").status == 404)
            #expect(try await post("{}", as: .agent, to: target).status == 403)
            let query = try FarmJSON.encode(SecretQuery(assignment: "\(build)-0-1", id: "token"))
            #expect(try await farm.ask("POST", "/api/v1/agent/secrets", as: .client, body: bytes(query)).status == 403)
            // An agent without that assignment has no business with it.
            #expect(try await farm.ask("POST", "/api/v1/agent/secrets", as: .agent, body: bytes(query)).status == 409)
        }
    }
}
