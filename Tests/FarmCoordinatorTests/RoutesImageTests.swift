import Digests
import FarmAPI
import Testing
import Transport

@testable import FarmCoordinator

@Suite("Base images are imported and served")
struct RoutesImageTests {
    /// A ustar archive of one directory and one file, as any tar writes it.
    private static func archive(_ content: String) -> [UInt8] {
        func entry(_ name: String, type: String, mode: String, _ content: [UInt8]) -> [UInt8] {
            var header = [UInt8](repeating: 0, count: 512)
            func put(_ text: String, at offset: Int) { header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8) }
            func octal(_ number: Int, _ width: Int) -> String {
                let digits = String(number, radix: 8)
                return String(repeating: "0", count: width - digits.utf8.count) + digits
            }
            put(name, at: 0)
            put(mode, at: 100)
            put("0000000", at: 108)
            put("0000000", at: 116)
            put(octal(content.count, 11), at: 124)
            put(octal(0, 11), at: 136)
            put("        ", at: 148)
            put(type, at: 156)
            put("ustar", at: 257)
            put("00", at: 263)
            put(octal(header.reduce(0) { $0 + Int($1) }, 6) + "\0 ", at: 148)
            return header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
        }
        return entry("bin/", type: "5", mode: "0000755", []) + entry("bin/hello", type: "0", mode: "0000755", Array(content.utf8))
            + [UInt8](repeating: 0, count: 1024)
    }

    private func names(_ farm: TestFarm, _ folder: String) throws -> [String] {
        try FileAccess.names(in: "\(farm.directory)/data/images/\(folder)").sorted()
    }

    @Test func `A root file system becomes an image, and an agent can fetch its layer as it was`() async throws {
        try await TestFarm.with { farm async throws in
            let archive = Self.archive("one")
            let answer = try await farm.ask("PUT", "/api/v1/images?name=docker.io%2Flibrary%2Fbase%3Alatest", body: bytes(archive))
            #expect(answer.status == 201)
            let image = try answer.json(ImageDescription.self)
            #expect(image.name == "base")
            #expect(image.layers == 1)
            let layer = try await farm.ask("GET", "/api/v1/agent/layers/\(Digest.of(archive))", as: .agent)
            #expect(layer.status == 200)
            #expect(layer.headers.first(named: "content-length") == String(archive.count))
            #expect(layer.body == archive)
            #expect(try names(farm, "staging") == [])
            let list = try await farm.ask("GET", "/api/v1/images").json([ImageDescription].self)
            #expect(list.map(\.name) == ["base"])
        }
    }

    @Test func `An import under the same name replaces, and the old layer goes`() async throws {
        try await TestFarm.with { farm async throws in
            let (one, two) = (Self.archive("one"), Self.archive("two"))
            for archive in [one, two] { #expect(try await farm.ask("PUT", "/api/v1/images?name=base", body: bytes(archive)).status == 201) }
            #expect(try names(farm, "layers") == [Digest.of(two).hex])
            #expect(try await farm.ask("DELETE", "/api/v1/images?name=base:latest").status == 204)
            #expect(try names(farm, "layers") == [])
            #expect(try await farm.ask("DELETE", "/api/v1/images?name=base").status == 404)
        }
    }

    @Test func `Two names of one layer share it`() async throws {
        try await TestFarm.with { farm async throws in
            let archive = Self.archive("one")
            for name in ["a", "b"] {
                #expect(try await farm.ask("PUT", "/api/v1/images?name=\(name)", body: bytes(archive)).status == 201)
            }
            #expect(try await farm.ask("DELETE", "/api/v1/images?name=a").status == 204)
            #expect(try names(farm, "layers") == [Digest.of(archive).hex])
        }
    }

    @Test(arguments: [[], Array("no archive at all".utf8), [UInt8](repeating: 0, count: 10_240)] as [[UInt8]])
    func `What is no image leaves no trace`(_ body: [UInt8]) async throws {
        try await TestFarm.with { farm async throws in
            let answer = try await farm.ask("PUT", "/api/v1/images?name=base", body: bytes(body))
            #expect(answer.status == 400)
            #expect(!answer.text.contains("/staging/"))
            #expect(try names(farm, "staging") == [])
            #expect(try names(farm, "layers") == [])
        }
    }

    @Test func `An archive beyond the limit is refused`() async throws {
        try await TestFarm.with {
            $0.imageLimit = 1000
        } _: { farm async throws in
            let answer = try await farm.ask("PUT", "/api/v1/images?name=base", body: bytes(Self.archive("one")))
            #expect(answer.status == 413)
            #expect(try names(farm, "staging") == [])
        }
    }

    @Test func `A disk that is full but for its reserve takes no upload`() async throws {
        try await TestFarm.with {
            $0.reservedSpace = .max / 2
        } _: { farm async throws in
            #expect(try await farm.ask("PUT", "/api/v1/images?name=base", body: bytes(Self.archive("one"))).status == 507)
            #expect(try await farm.ask("POST", "/api/v1/trees", body: bytes([])).status == 507)
        }
    }

    @Test(arguments: ["", "?name=", "?name=..%2Fkey", "?name=base&platform=plan9"])
    func `A name must be one`(_ query: String) async throws {
        try await TestFarm.with { farm async throws in
            #expect(try await farm.ask("PUT", "/api/v1/images\(query)", body: bytes(Self.archive("one"))).status == 400)
        }
    }
}
