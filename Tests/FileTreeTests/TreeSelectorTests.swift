import BuildPlan
import Digests
import Glibc
import Testing

@testable import FileTree

@Suite struct TreeSelectorTests {
    /// A tree in memory: paths ending in `/` are directories, `a -> b` links, others files with their path as content.
    final class Memory: TreeReader {
        private(set) var objects: [Digest: TreeObject] = [:]
        private(set) var root = Digest.of("")

        init(_ descriptions: [String], mode: UInt16 = 0o644, time: Int64 = 0) {
            var children: [String: [String: TreeEntry.Content]] = ["": [:]]
            func add(_ path: String, _ content: TreeEntry.Content?) {
                let parts = path.split(separator: "/").map(String.init)
                for depth in parts.indices {
                    let parent = parts[..<depth].joined(separator: "/")
                    let isLast = depth == parts.count - 1
                    if !isLast || content == nil {
                        let path = parts[...depth].joined(separator: "/")
                        if children[path] == nil { children[path] = [:] }
                        if children[parent]?[parts[depth]] == nil { children[parent]?[parts[depth]] = .directory(Digest.of("")) }
                    } else {
                        children[parent]?[parts[depth]] = content
                    }
                }
            }
            for text in descriptions {
                if let arrow = text.firstRange(of: " -> ") {
                    add(String(text[..<arrow.lowerBound]), .symlink(target: Array(text[arrow.upperBound...].utf8)))
                } else {
                    add(text, text.hasSuffix("/") ? nil : .file(Digest.of(text), size: UInt64(text.utf8.count)))
                }
            }
            root = build("", children, mode, time)
        }

        private func build(_ path: String, _ children: [String: [String: TreeEntry.Content]], _ mode: UInt16, _ time: Int64) -> Digest {
            let entries = (children[path] ?? [:]).map { name, content in
                var content = content
                if case .directory = content { content = .directory(build(path.isEmpty ? name : path + "/" + name, children, mode, time)) }
                return TreeEntry(name: Array(name.utf8), mode: mode, modified: time, content: content)
            }
            let object = TreeObject(entries: entries)
            objects[object.digest] = object
            return object.digest
        }

        func object(_ digest: Digest) throws -> TreeObject {
            guard let object = objects[digest] else { throw FileTreeError.missingObject(digest) }
            return object
        }

        var selector: TreeSelector { TreeSelector(reader: self, root: root) }

        func paths(_ pattern: String) throws -> [String] {
            try selector.select(pattern, wildcards: true).map { String(decoding: $0.path, as: UTF8.self) }
        }

        func digest(_ pattern: String, excludes: [String] = []) throws -> Digest {
            let selector = selector
            return try selector.digest(of: selector.select(pattern, wildcards: true), rules: PathRules(excludes: excludes))
        }
    }

    @Test(arguments: [
        ("", [""]), (".", [""]), ("/", [""]), ("a", ["a"]), ("./a//b/../b", ["a/b"]), ("../../a", ["a"]),
        ("*", ["a", "l", "x.go", "y.go"]),
        ("*.go", ["x.go", "y.go"]), ("a/*/c", ["a/b/c", "a/d/c"]), ("?.go", ["x.go", "y.go"]), ("[x]*", ["x.go"]), ("nothing*", []),
        ("gone/*", []), ("x.go/*", []), ("\\*", []), ("l/*", ["l/b", "l/d"]), ("*/b", ["a/b"]),
    ])
    func `A pattern means what COPY means by it`(_ pattern: String, _ expected: [String]) throws {
        let tree = Memory(["a/b/c", "a/d/c", "x.go", "y.go", "l -> a"])
        if pattern == "\\*" {
            #expect(throws: FileTreeError.notFound(path: pattern)) { try tree.paths(pattern) }
        } else {
            #expect(try tree.paths(pattern) == expected)
        }
    }

    @Test func `Links are followed within the root`() throws {
        let tree = Memory(["real/f", "up -> ../../real", "abs -> /real", "chain -> up/../up", "loop -> loop", "out -> ../../../etc/passwd"])
        for path in ["up/f", "abs/f", "chain/f"] {
            let match = try #require(try tree.selector.select(path, wildcards: false).first)
            #expect(match.entry.content == .file(Digest.of("real/f"), size: 6))
            #expect(String(decoding: match.path, as: UTF8.self) == path)
        }
        #expect(throws: FileTreeError.tooManySymlinks(path: "loop")) { try tree.selector.select("loop", wildcards: false) }
        #expect(throws: FileTreeError.notFound(path: "out")) { try tree.selector.select("out", wildcards: false) }
        #expect(throws: FileTreeError.notDirectory(path: "real/f/g")) { try tree.selector.select("real/f/g", wildcards: false) }
    }

    @Test func `The content digest knows content, names below, modes and links, and no times`() throws {
        let base = try Memory(["d/f", "d/l -> f"]).digest("d")
        #expect(try Memory(["d/f", "d/l -> f"], time: 99).digest("d") == base)
        #expect(try Memory(["d/f", "d/l -> f", "other"]).digest("d") == base)
        #expect(try Memory(["d/f", "d/l -> f"], mode: 0o600).digest("d") != base)
        #expect(try Memory(["d/f", "d/l -> g"]).digest("d") != base)
        #expect(try Memory(["d/f", "d/l -> f", "d/g"]).digest("d") != base)
        #expect(try Memory(["d/f", "d/l -> f", "d/e/"]).digest("d") != base)
        #expect(try Memory(["d/f", "d/l -> f"]).digest("d*") == base)
        #expect(try Memory(["d/f", "d/l -> f"]).digest("d/f") != Memory(["d/g"]).digest("d/g"))
    }

    @Test func `What is excluded is not part of the digest`() throws {
        let base = try Memory(["d/f", "d/sub/g"]).digest("d", excludes: ["*.log", "sub/x"])
        #expect(try Memory(["d/f", "d/a.log", "d/sub/g", "d/sub/x"]).digest("d", excludes: ["*.log", "sub/x"]) == base)
        #expect(try Memory(["d/f", "d/b", "d/sub/g"]).digest("d", excludes: ["*.log", "sub/x"]) != base)
    }

    @Test func `Two trees have equal digests exactly when they hold the same`() throws {
        var random = Seeded(11)
        let names = ["a", "b", "a/c", "a/d/", "b/x", "e/f/g", "e/f -> a", "e -> b", "h/"]
        var digests: [Digest: Set<String>] = [:]
        for _ in 0..<2000 {
            let chosen = names.filter { _ in Bool.random(using: &random) }
            let tree = Memory(chosen.shuffled(using: &random))
            var content: Set<String> = []
            for match in try tree.selector.select("", wildcards: false) {
                try tree.selector.walk(match) { content.insert("\(String(decoding: $0, as: UTF8.self)) \(Self.shown($1))") }
            }
            let digest = try tree.digest("")
            #expect(digests[digest, default: content] == content)
            digests[digest] = content
        }
        #expect(Set(digests.values).count == digests.count)
    }

    private static func shown(_ entry: TreeEntry) -> String { if case .directory = entry.content { "/" } else { "\(entry.content)" } }

    @Test func `The memo changes nothing but the time`() throws {
        let tree = Memory(["a/b/c", "a/d", "e/b/c"])
        let memo = SelectionMemo(limit: 2)
        let expected = try tree.digest("a")
        for _ in 0..<3 {
            let selector = TreeSelector(reader: tree, root: tree.root, memo: memo)
            #expect(try selector.digest(of: selector.select("a", wildcards: false)) == expected)
            _ = try selector.digest(of: selector.select("", wildcards: false))
        }
    }

    @Test func `A closure is all that reading a selection needs`() throws {
        let tree = Memory(["a/b/c", "a/b/d", "a/l -> ../e/f", "e/f", "g/h"])
        for (path, contents) in [("a/b", ["a/b/c", "a/b/d"]), ("a/l", ["e/f"]), ("", ["a/b/c", "a/b/d", "e/f", "g/h"])] {
            let closure = try tree.selector.closure(of: TreeSelection(source: .context, path: path, wildcards: true))
            #expect(Set(closure.contents.keys) == Set(contents.map { Digest.of($0) }))
            struct Partial: TreeReader {
                let tree: Memory
                let known: Set<Digest>
                func object(_ digest: Digest) throws -> TreeObject {
                    guard known.contains(digest) else { throw FileTreeError.missingObject(digest) }
                    return try tree.object(digest)
                }
            }
            let partial = TreeSelector(reader: Partial(tree: tree, known: closure.objects), root: tree.root)
            for match in try partial.select(path, wildcards: true) { try partial.walk(match) { _, _ in } }
        }
    }
}
