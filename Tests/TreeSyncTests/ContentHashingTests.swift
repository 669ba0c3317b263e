import CLinux
import Digests
import Glibc
import Testing

@testable import TreeSync

/// However a file is read, its digest and its list are the same.
struct ContentHashingTests {
    private static let size = 41_000_123

    /// A file of that size with data at some places, and its bytes.
    private func make(_ path: String, holes: Bool) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        var random = Seeded(5)
        let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600)
        try #require(ftruncate(file.number, off_t(Self.size)) == 0)
        let ranges = holes ? [5000..<5010, 1_000_000..<1_100_001, 8_388_608..<26_000_000, Self.size - 3..<Self.size] : [0..<Self.size]
        for range in ranges {
            for index in range { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
            try bytes.withUnsafeBytes {
                try file.writeFully(at: UInt64(range.lowerBound), UnsafeRawBufferPointer(rebasing: $0[range]))
            }
        }
        return bytes
    }

    @Test(arguments: [false, true]) func `holes and threads make no difference`(holes: Bool) throws {
        let folder = "/tmp/farm-hashing-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(folder, 0o700)
        defer { try? RemoveTree.remove(folder) }
        let bytes = try make(folder + "/file", holes: holes)
        let file = try Descriptor.open(folder + "/file", O_RDONLY)
        let lists = BlockLists(directory: folder + "/lists")
        let (digest, size) = try ContentHashing.digest(of: file, [], lists: lists)
        #expect(size == UInt64(Self.size))
        #expect(digest == bytes.withUnsafeBytes { ContentDigest.of($0) })
        let list = try #require(lists.open(digest, size: size))
        var found = [UInt8](repeating: 0, count: Int(BlockLists.length(forSize: size)))
        #expect(try list.readFully(into: &found) == found.count)
        let expected = stride(from: 0, to: Self.size, by: ContentDigest.blockSize).flatMap { start in
            bytes.withUnsafeBytes {
                Digest.of(UnsafeRawBufferPointer(rebasing: $0[start..<min(Self.size, start + ContentDigest.blockSize)])).bytes
            }
        }
        #expect(found == expected)
        var extents: [FileExtent] = []
        try file.eachExtent(size: size, []) { extents.append($0) }
        #expect(extents.reduce(0) { $0 + $1.length } == size)
        #expect(zip(extents, extents.dropFirst()).allSatisfy { $0.position + $0.length == $1.position })
        #expect(extents.contains { $0.isHole } == holes)
    }

    /// Both versions' digests and lists, and what became of the file, are to be the same as without a look at the older one.
    @Test(arguments: [
        Edit(at: [0, 4095, 20_000_000, 20_000_001, 37_000_000, size - 1]), Edit(at: [], size: size + 1), Edit(at: [], size: size + 5000),
        Edit(at: [77], size: size - 1), Edit(at: [], size: 8_388_608), Edit(at: [], size: size + 50_000_000),
        Edit(at: Array(stride(from: 0, to: size, by: 4096))), Edit(at: []),
    ])
    func `what is the same in the older version has its digests, and nothing else`(edit: Edit) throws {
        for holes in [false, true] {
            let folder = "/tmp/farm-hashing-\(getpid())-\(UInt64.random(in: .min ... .max))"
            mkdir(folder, 0o700)
            defer { try? RemoveTree.remove(folder) }
            let bytes = try make(folder + "/old", holes: holes)
            var new = bytes
            for place in edit.places { new[place] ^= 1 }
            new = Array(new.prefix(edit.size)) + [UInt8](repeating: 0, count: max(0, edit.size - new.count))
            let (old, file) = (
                try Descriptor.open(folder + "/old", O_RDONLY), try Descriptor.open(folder + "/new", O_RDWR | O_CREAT, mode: 0o600)
            )
            try new.withUnsafeBytes { try file.writeFully(at: 0, $0) }
            let lists = BlockLists(directory: folder + "/lists")
            let before = try ContentHashing.digest(of: old, [], lists: lists)
            let known = try #require(KnownBlocks(of: FileContent(size: before.size, digest: before.digest), in: old, lists: lists))
            let (digest, size) = try ContentHashing.digest(of: file, [], lists: lists, older: known)
            #expect(Int(size) == edit.size)
            #expect(digest == new.withUnsafeBytes { ContentDigest.of($0) })
            #expect(KnownBlocks(of: FileContent(size: size, digest: digest), in: file, lists: lists) != nil, "its list is whole")
        }
    }

    struct Edit: Sendable {
        var places: [Int]
        var size: Int

        init(at places: [Int], size: Int = ContentHashingTests.size) {
            self.places = places
            self.size = size
        }
    }

    @Test func `damage of an older version is not taken for content, nor a damaged list for its digests`() throws {
        let folder = "/tmp/farm-hashing-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(folder, 0o700)
        defer { try? RemoveTree.remove(folder) }
        _ = try make(folder + "/file", holes: false)
        let file = try Descriptor.open(folder + "/file", O_RDWR)
        let lists = BlockLists(directory: folder + "/lists")
        let (digest, size) = try ContentHashing.digest(of: file, [], lists: lists)
        let content = FileContent(size: size, digest: digest)
        let known = try #require(KnownBlocks(of: content, in: file, lists: lists))
        try [UInt8](repeating: 7, count: 5000).withUnsafeBytes { try file.writeFully(at: 30_000_000, $0) }
        var byte: UInt8 = 0
        // Where the file system can't tell what is in memory, all is hashed.
        if clinux_read_cached(file.number, &byte, 1, 0) == 1 {
            #expect(try ContentHashing.digest(of: file, [], lists: lists, older: known).digest == digest)
        }
        #expect(try ContentHashing.digest(of: file, [], lists: nil).digest != digest)
        let list = try Descriptor.open("\(folder)/lists/\(digest.hex)", O_RDWR)
        try [UInt8](repeating: 7, count: 9).withUnsafeBytes { try list.writeFully(at: 320_000, $0) }
        #expect(KnownBlocks(of: content, in: file, lists: lists) == nil)
    }

    @Test func `a holder's zeros are taken up to the room that there is, and holes without end`() throws {
        let bench = try FuzzTarget.Bench()
        defer { bench.remove() }
        let size: UInt64 = 1 << 34
        var hasher = ContentHasher(size: size)
        try hasher.update(zeros: size)
        let file = FileContent(size: size, digest: try hasher.finalize(), isSparse: true)
        func entry(_ path: String, _ content: TreeEntry.Content) -> TreeEntry {
            TreeEntry(path: Array(path.utf8), mode: 0o700, uid: 0, gid: 0, modified: 7, content: content)
        }
        let delta = try DeltaManifest(puts: [entry("", .directory), entry("s", .file(file))], deletions: [])
        func receive(_ answer: [UInt8]) throws {
            let fetch = try DeltaFetch(
                delta: delta, local: VolumeManifest(), files: try GenerationFiles(layers: []), directory: try bench.staging())
            let round = try fetch.prepare(room: 1 << 20)
            #expect(fetch.writtenBytes(round) == 0)
            #expect(try fetch.copiedBytes() == 0)
            _ = try fetch.readResponse(round, from: MemoryStream(FuzzTarget.answers.dressed(answer)), room: 1 << 20)
        }
        func numbers(_ tag: UInt8, _ values: [UInt64]) -> [UInt8] {
            var encoder = ByteEncoder()
            encoder.byte(tag)
            for value in values { encoder.number(value) }
            return encoder.bytes
        }
        try receive(numbers(FetchFormat.sparse, [size, size, 0]))
        #expect(throws: TreeSyncError.noRoom(path: "s")) { try receive(numbers(FetchFormat.content, [size])) }
        #expect(throws: TreeSyncError.noRoom(path: "s")) { try receive(numbers(FetchFormat.sparse, [size, 0, size])) }
        #expect(throws: TreeSyncError.self, "more than was announced") { try receive(numbers(FetchFormat.sparse, [size, size, 1])) }
        #expect(throws: TreeSyncError.self, "parts that are nothing") { try receive(numbers(FetchFormat.sparse, [size, 0, 0, 0, 0])) }
    }

    @Test func `what would take hours is refused by its manifest`() throws {
        func entry(_ path: String, _ size: UInt64) -> TreeEntry {
            TreeEntry(
                path: Array(path.utf8), mode: 0o700, uid: 0, gid: 0, modified: 7,
                content: .file(FileContent(size: size, digest: .of([]), isSparse: true)))
        }
        let root = TreeEntry(path: [], mode: 0o700, uid: 0, gid: 0, modified: 7, content: .directory)
        #expect(throws: TreeSyncError.self) { try DeltaManifest(puts: [root, entry("s", 1 << 62)], deletions: []) }
        // Each is as large as a file may be; all together not.
        let delta = try DeltaManifest(puts: [root] + (1...5).map { entry("s\($0)", FileContent.sizeLimit) }, deletions: [])
        let fetch = try DeltaFetch(delta: delta, local: VolumeManifest(), files: try GenerationFiles(layers: []), directory: "/")
        #expect(throws: TreeSyncError.self) { try fetch.copiedBytes() }
    }
}
