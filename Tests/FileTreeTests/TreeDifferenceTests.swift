import BuildPlan
import Digests
import FileTree
import Testing

struct TreeDifferenceTests {
    /// Two states of a directory in one reader.
    private struct States: TreeReader {
        var trees: [ContextTree]

        func object(_ digest: Digest) throws -> TreeObject {
            for tree in trees { if tree.objects[digest] != nil { return try tree.object(digest) } }
            throw FileTreeError.missingObject(digest)
        }
    }

    /// `+path` for what is written, `-path` for what is removed.
    private func difference(
        _ make: (Scratch) throws -> Void, then change: (Scratch) throws -> Void, path: String = "", _ filter: PathFilter = PathFilter()
    ) throws -> [String] {
        let scratch = Scratch()
        try make(scratch)
        let old = try ContextScanner().scan(root: scratch.path)
        try change(scratch)
        let new = try ContextScanner().scan(root: scratch.path)
        let found = try TreeDifference(
            of: TreeSelection(source: .context, path: path, wildcards: false, filter: filter), reader: States(trees: [old, new]),
            from: old.root, to: new.root)
        return found.written.map { "+" + String(decoding: $0.path, as: UTF8.self) }
            + found.removed.map { "-" + String(decoding: $0, as: UTF8.self) }
    }

    private func remove(_ name: String, in scratch: Scratch) { Scratch.remove(scratch.at(name)) }

    @Test func `added, changed and removed files are named, and nothing else`() throws {
        let found = try difference {
            for name in ["a", "d/b", "d/e/c", "d/gone", "same/x"] { try $0.file(name, "1") }
        } then: {
            try $0.file("a", "2")
            try $0.file("d/e/new", "1")
            remove("d/gone", in: $0)
        }
        #expect(found == ["+a", "+d/e/new", "-d/gone"])
    }

    @Test func `a mode is a change, a time is none`() throws {
        let found = try difference {
            try $0.file("a", "1")
            try $0.file("b", "1")
            try $0.link("l", to: "a")
        } then: {
            $0.age("a", seconds: 1000)
            $0.age("l", seconds: 1000)
            try $0.file("b", "1", mode: 0o755)
        }
        #expect(found == ["+b"])
    }

    @Test func `files, directories and links take each other's place`() throws {
        let found = try difference {
            try $0.file("a/x", "1")
            try $0.file("b", "1")
            try $0.link("c", to: "b")
            try $0.file("d", "1")
        } then: {
            for name in ["a", "b", "c", "d"] { remove(name, in: $0) }
            try $0.file("a", "1")
            try $0.file("b/y", "1")
            try $0.file("c/z", "1")
            try $0.link("d", to: "a")
        }
        #expect(Set(found) == ["+a", "-a/x", "-b", "+b/y", "-c", "+c/z", "+d"])
    }

    @Test func `only what the filter takes is compared, and a part may come and go as a whole`() throws {
        let make: (Scratch) throws -> Void = { for name in ["p/a.go", "p/a.md", "p/t/b.go", "q"] { try $0.file(name, "1") } }
        let change: (Scratch) throws -> Void = { for name in ["p/a.go", "p/a.md", "p/t/b.go", "q"] { try $0.file(name, "2") } }
        #expect(try difference(make, then: change, path: "p", PathFilter(includes: ["**/*.go"], excludes: ["t"])) == ["+a.go"])
        #expect(try difference(make, then: { remove("p", in: $0) }, path: "p", PathFilter(excludes: ["t"])) == ["-a.go", "-a.md"])
        #expect(try difference({ try $0.file("x") }, then: make, path: "p/t") == ["+b.go"])
        // A file alone has an empty path, and is filtered by its name.
        #expect(try difference(make, then: change, path: "q") == ["+"])
        #expect(try difference(make, then: change, path: "q", PathFilter(includes: ["r"])) == [])
        #expect(
            try difference(
                make,
                then: {
                    remove("p", in: $0); try $0.file("p", "1")
                }, path: "p", PathFilter(includes: ["p", "a.go"])) == ["+", "-a.go"])
    }

    @Test func `from nothing everything is written`() throws {
        let scratch = Scratch()
        for name in ["a", "d/b"] { try scratch.file(name, "1") }
        let tree = try ContextScanner().scan(root: scratch.path)
        let part = TreeSelection(source: .context, path: "", wildcards: false, filter: PathFilter())
        let found = try TreeDifference(of: part, reader: tree, from: nil, to: tree.root)
        #expect(found.written.map { String(decoding: $0.path, as: UTF8.self) } == ["a", "d/b"])
        #expect(try TreeDifference(of: part, reader: tree, from: tree.root, to: tree.root).isEmpty)
        #expect(try TreeDifference.hasFile(Array("d/b".utf8), in: part, reader: tree, root: tree.root))
        #expect(try !TreeDifference.hasFile(Array("d".utf8), in: part, reader: tree, root: tree.root))
        #expect(try !TreeDifference.hasFile(Array("d/b/c".utf8), in: part, reader: tree, root: tree.root))
    }

    @Test func `a filtered selection may be empty, and has a digest then too`() throws {
        let scratch = Scratch()
        for name in ["d/a.go", "d/b.md"] { try scratch.file(name, "1") }
        let tree = try ContextScanner().scan(root: scratch.path)
        let selector = TreeSelector(reader: tree, root: tree.root)
        let roots = try RootSelector(path: scratch.path)
        func part(_ path: String, _ filter: PathFilter?) -> TreeSelection {
            TreeSelection(source: .context, path: path, wildcards: false, filter: filter)
        }
        for digest in [selector.digest(of:), roots.digest(of:)] as [(TreeSelection) throws -> Digest] {
            let absent = try digest(part("none", PathFilter()))
            #expect(try digest(part("d/a.go/x", PathFilter())) == absent)
            #expect(try digest(part("d", PathFilter())) != absent)
            #expect(throws: FileTreeError.self) { try digest(part("none", nil)) }
            let go = try digest(part("d", PathFilter(includes: ["*.go"])))
            #expect(go != (try digest(part("d", PathFilter()))))
            #expect(try digest(part("d", PathFilter(excludes: ["*.md"]))) == go)
        }
        #expect(try selector.closure(of: part("none", PathFilter())).contents.isEmpty)
    }
}
