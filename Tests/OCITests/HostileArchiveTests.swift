import Digests
import Glibc
import Testing

@testable import OCI

/// Builds an archive entry by entry, also ones that no file system could have given.
func archive(_ entries: [TarEntry], contents: [String: String] = [:]) throws -> [UInt8] {
    let collector = ByteCollector()
    let tar = TarWriter(to: collector)
    for var entry in entries {
        let content = Array((contents[String(decoding: entry.path, as: UTF8.self)] ?? "").utf8)
        if case .file = entry.kind { entry.kind = .file(size: Int64(content.count)) }
        try tar.header(entry)
        if case .file = entry.kind {
            try tar.append(content)
            try tar.pad(Int64(content.count))
        }
    }
    _ = try tar.finish()
    return collector.bytes
}

func entry(_ path: String, _ kind: TarEntry.Kind = .file(size: 0), mode: UInt32 = 0o644) -> TarEntry {
    TarEntry(path: Array(path.utf8), kind: kind, mode: mode)
}

@Suite(.enabled(if: geteuid() == 0, "needs root"))
struct `A hostile archive` {
    private let temporary: TemporaryDirectory
    private let target: String
    private let outside: String

    init() throws {
        temporary = try TemporaryDirectory()
        target = temporary["target"]
        outside = temporary["outside"]
        mkdir(outside, 0o755)
        try shell("echo untouched > \(outside)/file")
    }

    private func extract(_ entries: [TarEntry], contents: [String: String] = [:], form: LayerForm = .overlayUpper) throws {
        _ = try LayerArchive.extract(from: ByteGiver(archive(entries, contents: contents)), into: target, form: form)
    }

    private func expectUntouched() throws {
        #expect(try shell("ls \(outside); cat \(outside)/file") == "file\nuntouched\n")
    }

    @Test(arguments: ["../outside/new", "a/../../outside/new", "/tmp/farm-absolute", "a/.."])
    func `can't name a path outside of the directory`(path: String) throws {
        #expect(throws: LayerError.self) { try extract([entry("a", .directory), entry(path)]) }
        try expectUntouched()
        #expect(access("/tmp/farm-absolute", F_OK) != 0)
    }

    @Test(arguments: ["l/new", "l/d/new", "l/.wh.file", "l/.wh..wh..opq", "l/file"])
    func `can't write through a link of its own`(path: String) throws {
        #expect(throws: LayerError.self) {
            try extract([entry("l", .symbolicLink(target: Array(outside.utf8))), entry(path)], contents: [path: "evil"])
        }
        #expect(throws: LayerError.self) {
            try extract([entry("d", .directory), entry("d/l", .symbolicLink(target: Array("../../outside".utf8))), entry("d/" + path)])
        }
        try expectUntouched()
    }

    @Test func `can't write through a link by a name that it has twice`() throws {
        try extract(
            [entry("x", .symbolicLink(target: Array("\(outside)/file".utf8))), entry("x")], contents: ["x": "replaced"])
        #expect(try shell("cat \(target)/x; test ! -h \(target)/x") == "replaced")
        try expectUntouched()
    }

    @Test func `can't link to what is outside or missing`() throws {
        for link in ["../outside/file", "/etc/passwd", "missing", "l/file", "a"] {
            #expect(throws: LayerError.self) {
                try extract([
                    entry("a", .directory), entry("l", .symbolicLink(target: Array(outside.utf8))),
                    entry("hard", .hardLink(target: Array(link.utf8))),
                ])
            }
        }
        // A hard link to a link is that link, not what it leads to.
        try extract([
            entry("s", .symbolicLink(target: Array("\(outside)/file".utf8))), entry("h", .hardLink(target: Array("s".utf8))),
        ])
        #expect(try shell("test -h \(target)/h") == "")
        // A file with the name of the hard link is a file of its own.
        try extract([entry("s", .symbolicLink(target: Array("\(outside)/file".utf8))), entry("h")], contents: ["h": "x"])
        try expectUntouched()
    }

    @Test func `can't replace a directory by something else`() throws {
        #expect(throws: LayerError.self) { try extract([entry("d", .directory), entry("d/f"), entry("d")]) }
        #expect(throws: LayerError.self) {
            try extract([entry("e", .directory), entry("e", .symbolicLink(target: Array(outside.utf8)))])
        }
    }

    @Test(arguments: [".wh..", ".wh...", ".wh."])
    func `can't delete what is no name`(name: String) throws {
        #expect(throws: LayerError.self) { try extract([entry("d", .directory), entry("d/" + name)]) }
    }

    @Test func `can't pretend to a deletion by a device`() throws {
        #expect(throws: LayerError.self) { try extract([entry("d", .characterDevice(major: 0, minor: 0))]) }
    }

    @Test func `can't set attributes of overlayfs or of the host`() throws {
        var directory = entry("d", .directory, mode: 0o755)
        for name in ["trusted.overlay.opaque", "trusted.overlay.redirect", "security.selinux", "trusted.x", "user.ok"] {
            directory.xattrs.append(.init(name: Array(name.utf8), value: [121]))
        }
        try extract([directory])
        let names = try shell("cd \(target) && python3 -c 'import os; print(sorted(os.listxattr(\"d\")))'")
        #expect(names == "['user.ok']\n")
    }

    @Test func `can't be deeper, longer or larger than the limits`() throws {
        let deep = Array(repeating: "d", count: LayerLimits.maximumDepth + 1).joined(separator: "/")
        #expect(throws: LayerError.self) { try extract([entry(deep)]) }
        #expect(throws: LayerError.self) { try extract([entry(String(repeating: "n", count: 300))]) }
        #expect(throws: LayerError.self) { try extract([entry(String(repeating: "n/", count: 2500) + "n")]) }
        var limits = LayerLimits()
        limits.entries = 2
        let three = try archive([entry("a"), entry("b"), entry("c")])
        #expect(throws: LayerError.self) {
            try LayerArchive.extract(from: ByteGiver(three), into: target, form: .overlayUpper, limits: limits)
        }
        limits = LayerLimits()
        limits.bytes = 1000
        #expect(throws: LayerError.self) {
            try LayerArchive.extract(from: ByteGiver(three), into: target, form: .overlayUpper, limits: limits)
        }
    }

    @Test func `that is cut off or garbled is refused`() throws {
        let whole = try archive([entry("a"), entry("b", .directory), entry("b/c")], contents: ["a": String(repeating: "x", count: 5000)])
        for count in [1, 100, 511, 513, 3000, 5000] {
            #expect(throws: LayerError.self) {
                try LayerArchive.extract(from: ByteGiver(Array(whole.prefix(count))), into: target, form: .overlayUpper)
            }
        }
    }

    @Test(arguments: 0..<120 as Range<UInt64>)
    func `with random damage leaves the outside alone`(seed: UInt64) throws {
        var random = Seeded(seed)
        var bytes = try archive([
            entry("d", .directory), entry("l", .symbolicLink(target: Array("../outside".utf8))), entry("d/f"),
            entry(String(repeating: "long/", count: 40) + "name"), entry("h", .hardLink(target: Array("d/f".utf8))), entry(".wh.gone"),
        ])
        for _ in 0..<Int.random(in: 1...20, using: &random) {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        // Most damage breaks a checksum; make them right again, so that what is behind them is reached.
        if seed % 2 == 0 {
            for start in stride(from: 0, to: bytes.count, by: 512) where bytes[start + 257..<start + 262].elementsEqual("ustar".utf8) {
                bytes.replaceSubrange(start + 148..<start + 156, with: repeatElement(32, count: 8))
                let sum = bytes[start..<start + 512].reduce(0) { $0 + Int($1) }
                let digits = Array(String(sum, radix: 8).utf8)
                bytes.replaceSubrange(start + 148..<start + 155, with: [UInt8](repeating: 48, count: 6 - digits.count) + digits + [0])
            }
        }
        do { _ = try LayerArchive.extract(from: ByteGiver(bytes), into: target, form: .overlayUpper) } catch is LayerError {}
        try expectUntouched()
    }
}
