import BlockingIO
import BuildPlan
import CLinux
import Digests
import FileTree
import Glibc
import Testing

@testable import FileSteps

/// A repository that changes, and an image that has its files.
private final class Repository {
    let shop = Workshop(asLayer: true)
    private(set) var states: [ContextTree] = []
    private(set) var fetched: Set<Digest> = []

    /// The source is in this state now; files that are named as `-x` go.
    func commit(_ files: [String]) throws {
        for name in files where name.hasPrefix("-") { try FileRemoval.remove(Array("\(shop.path)/source/\(name.dropFirst())".utf8)) }
        try shop.make(files.filter { !$0.hasPrefix("-") }, in: "source")
        states.append(try ContextScanner().scan(root: Array("\(shop.path)/source".utf8)))
    }

    /// Brings the image from one state to another; nil for none. What is in the image already is not touched by this.
    @discardableResult
    func update(
        _ mappings: [GitMapping] = [GitMapping(path: "", destination: "/app")], from old: Int?, to new: Int, links: Bool = true
    ) throws -> CopyResult {
        let update = RepositoryUpdate(
            mappings, reader: Reader(states: states), from: old.map { states[$0].root }, to: states[new].root)
        return try update.run(target: shop.target, contents: Contents(repository: self, tree: states[new]), linksFiles: links)
    }

    /// What the image looks like through the new layer.
    func image() throws -> [String] {
        let upper = try RootResolver(path: Array("\(shop.path)/upper".utf8))
        var hidden: [String] = []
        for entry in try upper.entries(at: []) {
            let name = String(decoding: entry.path, as: UTF8.self)
            // A file or a whiteout hides all that was there.
            if !entry.path.isEmpty, entry.status.kind != .directory { hidden.append(name) }
            if entry.status.kind == .directory, !entry.path.isEmpty, shop.kindBelow(name) != .directory { hidden.append(name) }
        }
        let whiteouts = try upper.entries(at: []).filter { $0.status.kind == .characterDevice && $0.status.representedDevice == 0 }
        let below = Workshop(asLayer: false, path: shop.path)
        let shownBelow = try below.image().filter { line in
            let name = line.prefix { $0 != " " }.split(separator: "/").joined(separator: "/")
            return !hidden.contains { name == $0 || name.hasPrefix($0 + "/") }
        }
        let above = try Workshop(asLayer: false, path: shop.path, place: "upper").image().filter { !$0.hasSuffix("characterDevice") }
        let names = Set(above.map { $0.prefix { $0 != " " } })
        #expect(whiteouts.allSatisfy { shop.kindBelow(String(decoding: $0.path, as: UTF8.self)) != nil })
        return (shownBelow.filter { !names.contains($0.prefix { $0 != " " }) } + above).sorted()
    }

    private struct Reader: TreeReader {
        var states: [ContextTree]
        func object(_ digest: Digest) throws -> TreeObject {
            for tree in states { if tree.objects[digest] != nil { return try tree.object(digest) } }
            throw FileTreeError.missingObject(digest)
        }
    }

    private struct Contents: ContentProvider {
        let repository: Repository
        let tree: ContextTree
        func localFile(_ digest: Digest) -> [UInt8]? { repository.shop.local[digest] }
        func fetch(_ digests: Set<Digest>) throws -> any ByteSource {
            repository.fetched.formUnion(digests)
            let buffer = Bytes()
            try tree.writeContents(digests, to: buffer)
            return buffer
        }
    }
}

struct RepositoryUpdateTests {
    private func repository(_ states: [String]..., image: [String]) throws -> Repository {
        let repository = Repository()
        for state in states { try repository.commit(state) }
        try repository.shop.make(image, in: "image")
        return repository
    }

    @Test func `an archive writes all mapped files, and makes directories of the mapping's owner`() throws {
        let repository = try repository(["src/a = 1 @0755", "src/d/b = 2", "src/d/c.md = 3", "other = 4", "src/l -> a"], image: ["etc/"])
        let mapping = GitMapping(path: "src", destination: "/app/x", owner: "5:6", filter: PathFilter(excludes: ["**/*.md"]))
        let result = try repository.update([mapping], from: nil, to: 0)
        #expect(
            try repository.image() == [
                "app/ 755", "app/x/ 755", "app/x/a 755 1", "app/x/d/ 755", "app/x/d/b 644 2", "app/x/l -> a", "etc/ 755",
            ])
        #expect(result.contents.count == 2)
        #expect(repository.fetched == [Digest.of("1"), Digest.of("2")])
        for name in ["app/x/a", "app/x/d", "app/x/d/b", "app/x/l"] {
            let status = try #require(try repository.shop.status(name))
            #expect([status.uid, status.gid] == [5, 6], "\(name)")
        }
        // The times are the context's: the same layer comes out at any time.
        let source = try #require(try FileStatus.of(Array("\(repository.shop.path)/source/src/a".utf8)))
        #expect(try repository.shop.status("app/x/a")?.modified == source.modified)
    }

    @Test func `a patch writes what differs, removes what is gone, and leaves what commands have made`() throws {
        let repository = try repository(
            ["a = 1", "b = 1", "d/c = 1", "e/f/g = 1", "same = 1"], ["a = 2", "-b", "-d", "-e", "n/o = 3"],
            image: [
                "app/a = 1", "app/b = 1", "app/d/c = 1", "app/d/made = x", "app/e/f/g = 1", "app/same = changed by a command", "out = 1",
            ])
        let result = try repository.update(from: 0, to: 1)
        #expect(
            try repository.image() == [
                "app/ 755", "app/a 644 2", "app/d/ 755", "app/d/made 644 x", "app/n/ 755", "app/n/o 644 3",
                "app/same 644 changed by a command", "out 644 1",
            ])
        #expect(repository.fetched == [Digest.of("2"), Digest.of("3")])
        #expect(result.fetchedBytes == 2)
        // A directory that is there keeps its time, whatever happens in it.
        let before = try #require(try FileStatus.of(Array("\(repository.shop.path)/image/app".utf8)))
        #expect(try FileStatus.of(Array("\(repository.shop.path)/upper/app".utf8))?.modified == before.modified)
    }

    @Test func `nothing that differs writes nothing`() throws {
        let repository = try repository(["a = 1", "doc/x = 1"], ["doc/x = 2"], image: ["app/a = 1"])
        try repository.update([GitMapping(path: "", destination: "/app", filter: PathFilter(excludes: ["doc"]))], from: 0, to: 1)
        #expect(try Workshop(asLayer: false, path: repository.shop.path, place: "upper").image() == [])
        #expect(repository.fetched.isEmpty)
    }

    @Test func `files, directories and links take each other's place, and the repository wins over commands`() throws {
        let repository = try repository(
            ["f = 1", "d/x = 1", "l -> f", "w = 1", "gone/y = 1", "r = 1", "q/z = 1"],
            ["-f", "f/in = 2", "-d", "d = 2", "-l", "l/in = 2", "w = 2", "-gone", "-r", "q/z = 2"],
            image: [
                "app/f = 1", "app/d/x = 1", "app/d/made = x", "app/l -> f", "app/w/was = a directory of a command", "app/gone -> /etc",
                "app/r/made = in place of a file", "app/q -> /etc", "etc/z = outside", "etc/y = outside",
            ])
        try repository.update(from: 0, to: 1)
        #expect(
            try repository.image() == [
                "app/ 755", "app/d 644 2", "app/f/ 755", "app/f/in 644 2", "app/gone -> /etc", "app/l/ 755", "app/l/in 644 2", "app/q/ 755",
                "app/q/z 644 2", "app/r/ 755", "app/r/made 644 in place of a file", "app/w 644 2", "etc/ 755", "etc/y 644 outside",
                "etc/z 644 outside",
            ])
    }

    @Test func `the destination may be a link, and a mapping may be a file`() throws {
        let repository = try repository(
            ["a = 1", "conf = 1"], ["a = 2", "conf = 2"], image: ["real/app/a = 1", "srv -> real", "etc/conf -> /real/x"])
        let mappings = [
            GitMapping(path: "", destination: "/srv/app", filter: PathFilter(includes: ["a"])),
            GitMapping(path: "conf", destination: "/etc/conf"),
        ]
        try repository.update(mappings, from: 0, to: 1)
        #expect(try repository.image() == ["etc/ 755", "etc/conf 644 2", "real/ 755", "real/app/ 755", "real/app/a 644 2", "srv -> real"])
        let other = Repository()
        for state in [["a = 1", "conf = 1"], ["-conf"]] { try other.commit(state) }
        try other.shop.make(["etc/conf = 1"], in: "image")
        try other.update(mappings, from: 0, to: 1)
        #expect(try other.image() == ["etc/ 755"])
    }

    @Test func `a file that two mappings give stays as long as one of them does`() throws {
        let repository = try repository(["one/x = 1", "two/x = 1", "one/y = 1"], ["-one"], image: ["app/x = 1", "app/y = 1"])
        try repository.update(
            [GitMapping(path: "one", destination: "/app"), GitMapping(path: "two", destination: "/app")], from: 0, to: 1)
        #expect(try repository.image() == ["app/ 755", "app/x 644 1"])
    }

    @Test func `where a command runs afterwards no file of an earlier layer is linked`() throws {
        for links in [true, false] {
            let repository = try repository(["a = 1"], image: [])
            let local = Array("\(repository.shop.path)/local".utf8)
            try FileDescriptor(local, flags: O_WRONLY | O_CREAT).write(Array("1".utf8))
            let source = try #require(try FileStatus.of(Array("\(repository.shop.path)/source/a".utf8)))
            _ = withPath(local) { chmod($0, mode_t(source.mode)) }
            var times = [timespec(), timespec()]
            times[0].tv_sec = Int(source.modified / 1_000_000_000)
            times[0].tv_nsec = Int(source.modified % 1_000_000_000)
            times[1] = times[0]
            _ = withPath(local) { utimensat(AT_FDCWD, $0, times, 0) }
            repository.shop.local[Digest.of("1")] = local
            let result = try repository.update(from: nil, to: 0, links: links)
            #expect(result.linkedFiles == (links ? 1 : 0))
            #expect(repository.fetched.isEmpty)
            #expect(try repository.image() == ["app/ 755", "app/a 644 1"])
        }
    }

    @Test func `directories are emptied, also below another, and files stay`() throws {
        let shop = Workshop(asLayer: true)
        try shop.make(["cache/x = 1", "cache/apt/y = 1", "real/z = 1", "link -> real", "file = 1", "empty/ @0700"], in: "image")
        try EmptyDirectoriesStep.run(paths: ["/cache/apt", "/cache", "/link", "/file", "/empty", "/new/deep"], target: shop.target)
        let upper = try RootResolver(path: Array("\(shop.path)/upper".utf8))
        let found = try upper.entries(at: []).map { String(decoding: $0.path, as: UTF8.self) }
        #expect(found == ["", "cache", "cache/apt", "new", "new/deep", "real"])
        for (name, opaque) in [("cache", true), ("real", true), ("cache/apt", false), ("new", false)] {
            var value: [UInt8] = [0]
            let count = value.withUnsafeMutableBytes {
                clinux_lgetxattr("\(shop.path)/upper/\(name)", "trusted.overlay.opaque", $0.baseAddress, 1)
            }
            #expect((count == 1 && value == Array("y".utf8)) == opaque, "\(name)")
        }
    }

    @Test(
        "An owner may say the user or the group alone",
        arguments: [("7:8", 7, 8), ("7:", 7, 2), (":8", 1, 8), ("7", 7, 7)] as [(String, UInt32, UInt32)])
    func owners(text: String, uid: UInt32, gid: UInt32) throws {
        let shop = Workshop(asLayer: true)
        try shop.make(["s/a = 1"], in: "source")
        chown("\(shop.path)/source/s/a", 1, 2)
        _ = try shop.copy(["s"], to: "/d/", fromStage: true, owner: text)
        let status = try #require(try shop.status("d/a"))
        #expect([status.uid, status.gid] == [uid, gid])
    }

    @Test(arguments: [true, false]) func `a copy with a filter takes what it selects, and may find nothing`(fromStage: Bool) throws {
        let shop = Workshop(asLayer: true)
        try shop.make(["s/a.go = 1", "s/t/b.go = 2", "s/t/c.md = 3", "s/u/d.md = 4"], in: "source")
        for path in ["s", "none"] {
            var copy = CopyOperation(sources: [.tree(path)], from: fromStage ? .stage(0) : .context, destination: "/d")
            copy.filter = PathFilter(includes: ["**/*.go", "a*"])
            _ = try shop.run(copy, fromStage: fromStage)
        }
        #expect(try shop.image() == ["d/ 755", "d/a.go 644 1", "d/t/ 755", "d/t/b.go 644 2"])
    }
}
