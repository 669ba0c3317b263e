import BuildPlan
import CLinux
import Digests
import Glibc
import Testing

@testable import FileTree

@Suite(.enabled(if: geteuid() == 0, "needs root")) struct RootSelectorTests {
    private func digest(_ scratch: Scratch, _ path: String, excludes: [String] = []) throws -> Digest {
        let selector = try RootSelector(path: scratch.path)
        return try selector.digest(of: selector.select(path, wildcards: true), rules: PathRules(excludes: excludes))
    }

    private func sample() throws -> Scratch {
        let scratch = Scratch()
        try scratch.file("d/f", "content")
        try scratch.file("d/sub/g", "more", mode: 0o600)
        try scratch.link("d/l", to: "f")
        return scratch
    }

    @Test func `Equal trees have equal digests wherever and whenever they were made`() throws {
        let base = try digest(sample(), "d")
        let other = try sample()
        other.age("d/f", seconds: 1000)
        try other.file("elsewhere", "x")
        #expect(try digest(other, "d") == base)
        #expect(try digest(other, "d*") == base)
    }

    @Test func `Everything that a copy keeps is part of the digest`() throws {
        let base = try digest(sample(), "d")
        let changes: [(String, (Scratch) throws -> Void)] = [
            ("content", { try $0.file("d/f", "Content") }),
            ("mode", { _ = chmod(String(decoding: $0.at("d/f"), as: UTF8.self), 0o4644) }),
            ("owner", { _ = chown(String(decoding: $0.at("d/sub"), as: UTF8.self), 5, 0) }),
            ("group", { _ = lchown(String(decoding: $0.at("d/l"), as: UTF8.self), 0, 5) }),
            ("name", { _ = rename(String(decoding: $0.at("d/f"), as: UTF8.self), String(decoding: $0.at("d/F"), as: UTF8.self)) }),
            (
                "target",
                {
                    unlink(String(decoding: $0.at("d/l"), as: UTF8.self)); try $0.link("d/l", to: "g")
                }
            ),
            ("a new file", { try $0.file("d/new") }),
            ("a new directory", { _ = try $0.directory("d/new") }),
            ("a fifo", { _ = mkfifo(String(decoding: $0.at("d/new"), as: UTF8.self), 0o600) }),
            ("a device", { _ = mknod(String(decoding: $0.at("d/new"), as: UTF8.self), S_IFCHR | 0o600, 0x103) }),
            ("an attribute", { _ = clinux_lsetxattr(String(decoding: $0.at("d/f"), as: UTF8.self), "user.x", "y", 1, 0) }),
        ]
        var seen: Set<Digest> = [base]
        for (name, change) in changes {
            let scratch = try sample()
            try change(scratch)
            #expect(try seen.insert(digest(scratch, "d")).inserted, "\(name)")
        }
    }

    @Test func `Links of one file are not the same as two files`() throws {
        let two = Scratch()
        try two.file("d/a", "x")
        try two.file("d/b", "x")
        let one = Scratch()
        try one.file("d/a", "x")
        link(String(decoding: one.at("d/a"), as: UTF8.self), String(decoding: one.at("d/b"), as: UTF8.self))
        #expect(try digest(one, "d") != digest(two, "d"))
    }

    @Test func `Excluded files do not count and directories are there only for what is in them`() throws {
        let base = try digest(sample(), "d", excludes: ["*.log", "tmp", "!tmp/keep"])
        let other = try sample()
        try other.file("d/x.log")
        try other.file("d/tmp/x")
        #expect(try digest(other, "d", excludes: ["*.log", "tmp", "!tmp/keep"]) == base)
        try other.file("d/tmp/keep")
        #expect(try digest(other, "d", excludes: ["*.log", "tmp", "!tmp/keep"]) != base)
    }

    @Test func `Links never lead out of the root`() throws {
        let scratch = Scratch()
        try scratch.file("outside", "secret")
        try scratch.file("root/etc/passwd", "inside")
        try scratch.link("root/a", to: "/etc/passwd")
        try scratch.link("root/b", to: "../../../../../../etc/passwd")
        try scratch.link("root/c", to: "../outside")
        try scratch.link("root/d", to: "/..")
        try scratch.link("root/e", to: "d/d/d/etc")
        try scratch.link("root/loop", to: "loop/x")
        let resolver = try RootResolver(path: scratch.at("root"))
        for path in ["a", "b", "/a", "../b", "e/passwd", "d/etc/../etc/passwd"] {
            #expect(try resolver.resolve(Array(path.utf8)).path == Array("etc/passwd".utf8), "\(path)")
        }
        #expect(try resolver.resolve(Array("c".utf8)) == RootResolver.Place(path: Array("outside".utf8), status: nil))
        #expect(throws: FileTreeError.tooManySymlinks(path: "loop")) { try resolver.resolve(Array("loop".utf8)) }
        let selector = try RootSelector(path: scratch.at("root"))
        #expect(try selector.select("a", wildcards: true).first?.place == Array("etc/passwd".utf8))
        #expect(throws: FileTreeError.notFound(path: "c")) { try selector.select("c", wildcards: false) }
    }

    @Test func `Opening does not follow a link that took a directory's place`() throws {
        let scratch = Scratch()
        try scratch.file("root/dir/f", "x")
        try scratch.file("other/f", "secret")
        let resolver = try RootResolver(path: scratch.at("root"))
        let place = try resolver.resolve(Array("dir/f".utf8))
        Scratch.remove(scratch.at("root/dir"))
        try scratch.link("root/dir", to: "../other")
        #expect(throws: FileTreeError.self) { try resolver.open(place.path, flags: O_RDONLY) }
    }
}
