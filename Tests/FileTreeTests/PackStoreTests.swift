import Digests
import Glibc
import Testing

@testable import FileTree

@Suite struct PackStoreTests {
    private func pack(_ contents: [String]) throws -> Buffer {
        let buffer = Buffer()
        let writer = try ContentPackWriter(buffer)
        for content in contents {
            try writer.append(Digest.of(content), size: UInt64(content.utf8.count), from: Buffer(Array(content.utf8)))
        }
        try writer.finish()
        return buffer
    }

    private func contents(_ buffer: Buffer) throws -> [String] {
        let reader = ContentPackReader(buffer)
        var found: [String] = []
        while try reader.next() != nil {
            var bytes = [UInt8]()
            try reader.content { bytes.append(contentsOf: $0) }
            found.append(String(decoding: bytes, as: UTF8.self))
        }
        return found
    }

    @Test func `Contents come back in the order of the disk and survive a restart`() throws {
        let scratch = Scratch()
        let store = try PackStore(directory: scratch.at("packs"))
        #expect(try store.receive(pack(["one", "two", ""])).contents == 3)
        #expect(try store.receive(pack(["two", "three", "three"])).contents == 1)
        for store in [store, try PackStore(directory: scratch.at("packs"))] {
            #expect(store.missing(of: ["one", "four", "three"].map { Digest.of($0) }) == [Digest.of("four")])
            let output = Buffer()
            try store.write(["three", "one", ""].map { Digest.of($0) }, to: output)
            #expect(try contents(output) == ["one", "", "three"])
            #expect(try store.read(Digest.of("two"), limit: 10) == Array("two".utf8))
            #expect(throws: FileTreeError.missingContent(Digest.of("x"))) { try store.write([Digest.of("x")], to: Buffer()) }
        }
    }

    @Test func `A pack that is cut off anywhere leaves nothing behind`() throws {
        let scratch = Scratch()
        let whole = try pack(["one", "two"]).bytes
        for length in 0..<whole.count {
            let store = try PackStore(directory: scratch.at("packs"))
            #expect(throws: FileTreeError.self) { try store.receive(Buffer(Array(whole[..<length]))) }
            #expect(!store.contains(Digest.of("one")))
        }
        #expect(try DirectoryListing.names(in: FileDescriptor(scratch.at("packs"), flags: O_RDONLY | O_DIRECTORY)).isEmpty)
    }

    @Test func `A content with another digest is refused`() throws {
        let scratch = Scratch()
        let buffer = Buffer()
        let writer = try ContentPackWriter(buffer)
        try writer.append(Digest.of("good"), size: 3, from: Buffer(Array("bad".utf8)))
        try writer.finish()
        let store = try PackStore(directory: scratch.at("packs"))
        #expect(throws: FileTreeError.digestMismatch(expected: Digest.of("good"), actual: Digest.of("bad"))) { try store.receive(buffer) }
        #expect(store.size == 0)
    }

    @Test func `A crash at any moment leaves no half pack visible`() throws {
        let scratch = Scratch()
        try PackStore(directory: scratch.at("packs")).receive(pack(["one", "two"]))
        let name = "0000000000"
        let packBytes = try FileDescriptor(scratch.at("packs/\(name).pack")).readAll(limit: 1000)
        let indexBytes = try FileDescriptor(scratch.at("packs/\(name).index")).readAll(limit: 1000)
        // Every prefix of either file, as a disk may hold it after a power loss.
        for cut in 0..<packBytes.count {
            try scratch.file(Array("packs/\(name).pack".utf8), Array(packBytes[..<cut]))
            try scratch.file(Array("packs/\(name).index".utf8), indexBytes)
            #expect(try !PackStore(directory: scratch.at("packs")).contains(Digest.of("one")))
        }
        for cut in 0..<indexBytes.count {
            try scratch.file(Array("packs/\(name).pack".utf8), packBytes)
            try scratch.file(Array("packs/\(name).index".utf8), Array(indexBytes[..<cut]))
            #expect(try !PackStore(directory: scratch.at("packs")).contains(Digest.of("one")))
        }
        // Before the renames, and between them.
        try scratch.file(Array("packs/\(name).pack.tmp".utf8), packBytes)
        try scratch.file(Array("packs/0000000007.pack".utf8), packBytes)
        let store = try PackStore(directory: scratch.at("packs"))
        #expect(!store.contains(Digest.of("one")))
        #expect(try DirectoryListing.names(in: FileDescriptor(scratch.at("packs"), flags: O_RDONLY | O_DIRECTORY)).isEmpty)
        #expect(try store.receive(pack(["one"])).contents == 1)
    }

    @Test func `The longest unused packs go first and kept ones stay`() throws {
        let scratch = Scratch()
        let store = try PackStore(directory: scratch.at("packs"))
        for content in ["a", "b", "c", "d"] { try store.receive(pack([content])) }
        _ = store.missing(of: [Digest.of("a")])
        let one = store.size / 4
        #expect(store.trim(to: 3 * one, keeping: [Digest.of("b")]) == one)
        #expect(!store.contains(Digest.of("c")))
        #expect(store.trim(to: 0, keeping: [Digest.of("b")]) == 2 * one)
        #expect(store.contains(Digest.of("b")))
        #expect(try PackStore(directory: scratch.at("packs")).size == one)
    }

    @Test func `A pack that arrives in single bytes is the same`() throws {
        let buffer = try pack(["one", "two", String(repeating: "x", count: 100_000)])
        buffer.portion = 1
        #expect(try contents(buffer).map(\.utf8.count) == [3, 3, 100_000])
    }

    @Test func `A content beyond the limit is refused before it is read`() throws {
        let reader = ContentPackReader(try pack(["12345"]), sizeLimit: 4)
        #expect(throws: FileTreeError.self) { try reader.next() }
    }

    @Test func `Objects are read back and a tree is complete when all of it is there`() throws {
        let scratch = Scratch()
        try scratch.file("tree/a/b/c", "x")
        let tree = try ContextScanner().scan(root: scratch.at("tree"))
        let store = try ObjectStore(directory: scratch.at("objects"))
        for digest in tree.objects.keys where digest != tree.root {
            let buffer = Buffer()
            try tree.writeObjects([digest], to: buffer)
            try store.receive(buffer)
        }
        #expect(try !store.isComplete(tree.root))
        let buffer = Buffer()
        try tree.writeObjects([tree.root], to: buffer)
        try store.receive(buffer)
        #expect(try store.isComplete(tree.root))
        #expect(try store.object(tree.root) == tree.object(tree.root))
        let selector = TreeSelector(reader: store, root: tree.root)
        #expect(try selector.select("a/b/c", wildcards: false).count == 1)
    }
}
