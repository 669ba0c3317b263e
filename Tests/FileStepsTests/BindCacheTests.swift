import BlockingIO
import Digests
import FileTree
import Glibc
import Testing

@testable import FileSteps

@Suite(.enabled(if: geteuid() == 0, "needs root")) struct BindCacheTests {
    private struct Contents: ContentProvider {
        let tree: ContextTree
        func localFile(_ digest: Digest) -> [UInt8]? { nil }
        func fetch(_ digests: Set<Digest>) throws -> any ByteSource {
            let buffer = Bytes()
            try tree.writeContents(digests, to: buffer)
            return buffer
        }
    }

    private func scan(_ workshop: Workshop) throws -> (TreeSelector, Contents) {
        let tree = try ContextScanner().scan(root: Array("\(workshop.path)/source".utf8))
        return (TreeSelector(reader: tree, root: tree.root), Contents(tree: tree))
    }

    @Test func `A directory and a file are as in the context, and made once`() throws {
        let workshop = Workshop(asLayer: false)
        try workshop.make(["d/f = x @755", "d/l -> f", "d/sub/ @700", "g = y"], in: "source")
        let cache = try BindCache(directory: "\(workshop.path)/cache")
        let (selector, contents) = try scan(workshop)
        let directory = try cache.source("d", in: selector, contents: contents)
        let again = try cache.source("d", in: selector, contents: contents)
        let file = try cache.source("g", in: selector, contents: contents)
        #expect(directory.path == again.path)
        #expect(try FileDescriptor(Array("\(directory.path)/f".utf8)).readAll(limit: 10) == Array("x".utf8))
        #expect(try FileStatus.of(Array("\(directory.path)/f".utf8))?.mode == 0o755)
        #expect(try FileStatus.of(Array("\(directory.path)/sub".utf8))?.mode == 0o700)
        #expect(try readLink(Array("\(directory.path)/l".utf8)) == Array("f".utf8))
        #expect(try FileDescriptor(Array(file.path.utf8)).readAll(limit: 10) == Array("y".utf8))
    }

    @Test func `What is held is not trimmed`() throws {
        let workshop = Workshop(asLayer: false)
        try workshop.make(["a = 1", "b = 2"], in: "source")
        let cache = try BindCache(directory: "\(workshop.path)/cache")
        let (selector, contents) = try scan(workshop)
        let held = try cache.source("a", in: selector, contents: contents)
        var other: BindCache.Source? = try cache.source("b", in: selector, contents: contents)
        let path = Array((other?.path ?? "").utf8)
        other = nil
        try cache.trim(to: 0)
        #expect(try FileStatus.of(Array(held.path.utf8)) != nil)
        #expect(try FileStatus.of(path) == nil)
    }

    @Test func `What an earlier process left is dropped, half made or not`() throws {
        let workshop = Workshop(asLayer: false)
        try workshop.make(["new-3/upper/content/f = x", "abc/f"], in: "source")
        rename("\(workshop.path)/source", "\(workshop.path)/cache")
        _ = try BindCache(directory: "\(workshop.path)/cache")
        let left = try FileDescriptor(Array("\(workshop.path)/cache".utf8), flags: O_RDONLY | O_DIRECTORY)
        #expect(try DirectoryListing.names(in: left).isEmpty)
    }
}
