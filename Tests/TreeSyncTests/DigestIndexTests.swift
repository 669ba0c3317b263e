import Digests
import Testing

@testable import TreeSync

struct DigestIndexTests {
    private func delta(_ count: Int, digest: (Int) -> Digest) throws -> DeltaManifest {
        var entries = [TreeEntry(path: [], mode: 0o755, uid: 0, gid: 0, modified: 0, content: .directory)]
        for index in 0..<count {
            entries.append(
                TreeEntry(
                    path: Array("f\(index)".utf8), mode: 0o644, uid: 0, gid: 0, modified: 0,
                    content: .file(FileContent(size: index == 0 ? 0 : 1, digest: digest(index)))))
        }
        return try DeltaManifest(puts: entries.sorted { TreePaths.precedes($0.path, $1.path) }, deletions: [])
    }

    @Test(arguments: [0, 1, 2, 3, 50, 5000]) func `every file that is not empty is found by its digest, and nothing else`(count: Int) throws
    {
        let delta = try delta(count) { Digest.of("\($0 / 2)") }
        let index = DigestIndex(of: delta)
        #expect(index.count == max(0, count - 1))
        for entry in delta.puts.dropFirst() where entry.file?.size == 1 {
            let digest = try #require(entry.file?.digest)
            let found = index.places(of: digest)
            #expect(found.contains { delta.puts[$0].path == entry.path })
            #expect(found.allSatisfy { delta.puts[$0].file?.digest == digest })
            #expect(found.count <= 2)
        }
        for other in 0..<200 { #expect(index.places(of: Digest.of("other \(other)")).isEmpty) }
        #expect(try DigestIndex(decoding: index.encoded()) == index)
    }

    @Test func `digests that are not spread evenly are found all the same`() throws {
        // As somebody could choose them: all alike but for the last of the bytes that are looked at.
        func crowded(_ index: Int) throws -> Digest {
            var bytes = [UInt8](repeating: index == 999 ? 0xff : 0, count: 32)
            bytes[6] = UInt8(index >> 8)
            bytes[7] = UInt8(index & 0xff)
            return try #require(Digest(bytes: bytes))
        }
        let digests = try (0..<1000).map(crowded)
        let index = DigestIndex(of: try delta(1000) { digests[$0] })
        for digest in digests.dropFirst() { #expect(index.places(of: digest).count == 1) }
    }

    @Test func `a damaged index is refused`() throws {
        let bytes = DigestIndex(of: try delta(20) { Digest.of("\($0)") }).encoded()
        for place in bytes.indices {
            var damaged = bytes
            damaged[place] ^= 0x40
            #expect(throws: TreeSyncError.self) { try DigestIndex(decoding: damaged) }
        }
        #expect(throws: TreeSyncError.self) { try DigestIndex(decoding: []) }
    }
}
