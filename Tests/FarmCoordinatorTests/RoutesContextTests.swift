import Digests
import FarmAPI
import FileTree
import NIOCore
import Testing
import Transport

@testable import FarmCoordinator

@Suite("Contexts come in and go out whole")
struct RoutesContextTests {
    private static let file = Array("hello".utf8)

    private static func tree() -> [TreeObject] {
        let inner = TreeObject(entries: [
            TreeEntry(name: Array("a.txt".utf8), mode: 0o644, modified: 1, content: .file(Digest.of(file), size: UInt64(file.count)))
        ])
        let root = TreeObject(entries: [
            TreeEntry(name: Array("src".utf8), mode: 0o755, modified: 1, content: .directory(inner.digest))
        ])
        return [root, inner]
    }

    private static func framed(_ objects: [TreeObject]) -> [UInt8] {
        objects.flatMap { object -> [UInt8] in
            let encoded = object.encoded()
            return withUnsafeBytes(of: UInt32(encoded.count).littleEndian) { Array($0) } + encoded
        }
    }

    @Test func `Missing objects are named, and those that were sent come back as they were`() async throws {
        try await TestFarm.with { farm async throws in
            let objects = Self.tree()
            let wanted = DigestList.bytes(of: objects.map(\.digest))
            #expect(try await farm.ask("POST", "/api/v1/trees/missing", body: bytes(wanted)).body == wanted)
            #expect(try await farm.ask("POST", "/api/v1/trees", body: bytes(Self.framed([objects[1]]))).status == 204)
            let left = try await farm.ask("POST", "/api/v1/trees/missing", body: bytes(wanted))
            #expect(left.body == objects[0].digest.bytes)
            #expect(try await farm.ask("POST", "/api/v1/trees", body: bytes(Self.framed(objects))).status == 204)
            let fetched = try await farm.ask("POST", "/api/v1/agent/trees", as: .agent, body: bytes(wanted))
            #expect(fetched.status == 200)
            #expect(fetched.body == Self.framed(objects))
        }
    }

    @Test(
        arguments: [
            [1, 0, 0], [255, 255, 255, 255], [5, 0, 0, 0, 1, 2], [3, 0, 0, 0, 1, 2, 3],
        ] as [[UInt8]])
    func `What is no list of directory objects is refused`(_ body: [UInt8]) async throws {
        try await TestFarm.with { farm async throws in
            let answer = try await farm.ask("POST", "/api/v1/trees", body: bytes(body))
            #expect(answer.status == 400)
            let message = try answer.json(APIError.self).message
            #expect(!message.isEmpty)
        }
    }

    @Test func `A list of digests must be whole`() async throws {
        try await TestFarm.with { farm async throws in
            #expect(try await farm.ask("POST", "/api/v1/trees/missing", body: bytes([1, 2, 3])).status == 400)
        }
    }

    @Test func `An agent that asks for what is not here is told so`() async throws {
        try await TestFarm.with { farm async throws in
            let digest = Digest.of("nothing")
            for path in ["/api/v1/agent/trees", "/api/v1/agent/contents"] {
                let answer = try await farm.ask("POST", path, as: .agent, body: bytes(digest.bytes))
                #expect(answer.status == 404)
                let message = try answer.json(APIError.self).message
                #expect(message.contains(digest.description))
            }
            #expect(try await farm.ask("GET", "/api/v1/agent/layers/\(digest)", as: .agent).status == 404)
            #expect(try await farm.ask("GET", "/api/v1/agent/layers/..%2F..%2Fkey.pem", as: .agent).status >= 400)
        }
    }

    /// A directory of its own, as large as a few thousand others.
    private static func directory(_ name: String) -> TreeObject {
        TreeObject(entries: [
            TreeEntry(
                name: Array(("\(name) " + String(repeating: "x", count: 150)).utf8), mode: 0o644, modified: 1,
                content: .file(Digest.of(name), size: 1))
        ])
    }

    @Test func `above their limit the directories go that were not used for longest, but none that an open build needs`() async throws {
        try await TestFarm.with({ $0.treeLimit = 20_000 }) { farm async throws in
            func upload(_ object: TreeObject) async throws {
                #expect(try await farm.ask("POST", "/api/v1/trees", body: bytes(Self.framed([object]))).status == 204)
            }
            func isThere(_ object: TreeObject) async throws -> Bool {
                try await farm.ask("POST", "/api/v1/trees/missing", body: bytes(object.digest.bytes)).body.isEmpty
            }
            let (wanted, unwanted, last) = (Self.directory("wanted"), Self.directory("unwanted"), Self.directory("last"))
            let request = SubmitRequest(
                project: "p", dockerfile: "FROM scratch\nCOPY . /\n", dockerfileName: "Dockerfile", contextRoot: wanted.digest,
                options: BuildOptions(), requestID: "r")
            let submitted = try await farm.ask("POST", "/api/v1/builds", body: bytes(try FarmJSON.encode(request)))
            #expect(submitted.status == 201)
            try await upload(wanted)
            try await upload(unwanted)
            for number in 0..<150 { try await upload(Self.directory("\(number)")) }
            try await upload(last)
            #expect(try await isThere(last))
            #expect(try await isThere(wanted))
            #expect(try await !isThere(unwanted))
            // Ended, it goes like the others.
            let build = try submitted.json(SubmitResponse.self).build
            #expect(try await farm.ask("POST", "/api/v1/builds/\(build)/cancel", body: bytes(Array("{}".utf8))).status == 204)
            for number in 200..<400 { try await upload(Self.directory("\(number)")) }
            #expect(try await !isThere(wanted))
        }
    }
}
