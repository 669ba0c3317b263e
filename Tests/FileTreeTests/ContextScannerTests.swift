import BuildPlan
import CLinux
import Digests
import Glibc
import Testing

@testable import FileTree

@Suite struct ContextScannerTests {
    private func paths(_ tree: ContextTree) throws -> [String: TreeEntry] {
        var found: [String: TreeEntry] = [:]
        let selector = TreeSelector(reader: tree, root: tree.root)
        for match in try selector.select("", wildcards: false) {
            try selector.walk(match) { found[String(decoding: $0, as: UTF8.self)] = $1 }
        }
        return found
    }

    @Test func `A time that no number of nanoseconds tells is the nearest one`() {
        #expect(FileStatus.nanoseconds(timespec(tv_sec: 13_569_465_600, tv_nsec: 0)) == .max)
        #expect(FileStatus.nanoseconds(timespec(tv_sec: 9_223_372_036, tv_nsec: 999_999_999)) == .max)
        #expect(FileStatus.nanoseconds(timespec(tv_sec: -13_569_465_600, tv_nsec: 5)) == .min)
        #expect(FileStatus.nanoseconds(timespec(tv_sec: -2, tv_nsec: 5)) == -1_999_999_995)
    }

    @Test func `Every kind of file is in the tree as it is on the disk`() throws {
        let scratch = Scratch()
        try scratch.file("a/b/file", "hello", mode: 0o4755)
        try scratch.link("a/link", to: "/nowhere")
        try scratch.directory("empty", mode: 0o700)
        mkfifo(String(decoding: scratch.at("pipe"), as: UTF8.self), 0o600)
        let found = try paths(ContextScanner().scan(root: scratch.path))
        #expect(found.count == 7)
        #expect(found["a/b/file"]?.content == .file(Digest.of("hello"), size: 5))
        #expect(found["a/b/file"]?.mode == 0o4755)
        #expect(found["a/link"]?.content == .symlink(target: Array("/nowhere".utf8)))
        #expect(found["empty"]?.mode == 0o700)
        #expect(found["pipe"]?.content == .fifo)
    }

    @Test func `Names that are not UTF-8 are kept`() throws {
        let scratch = Scratch()
        try scratch.file([0xFF, 0xFE], Array("x".utf8))
        let tree = try ContextScanner().scan(root: scratch.path)
        #expect(try tree.object(tree.root).entries.map(\.name) == [[0xFF, 0xFE]])
    }

    @Test func `What is ignored is not there and an ignored directory is there only for what was taken in again`() throws {
        let scratch = Scratch()
        try scratch.file("out/keep/file")
        try scratch.file("out/other/file")
        try scratch.file("gone/file")
        try scratch.file("a.log")
        let ignore = try IgnorePatterns(patterns: ["out", "!out/keep", "gone", "*.log"])
        let found = try paths(ContextScanner(ignore: ignore).scan(root: scratch.path))
        #expect(found.keys.sorted() == ["", "out", "out/keep", "out/keep/file"])
    }

    @Test func `A device node is an error that names it`() throws {
        guard geteuid() == 0 else { return }
        let scratch = Scratch()
        try scratch.directory("dev")
        mknod(String(decoding: scratch.at("dev/null"), as: UTF8.self), S_IFCHR | 0o666, 0x103)
        #expect(throws: FileTreeError.deviceNode(path: Array("dev/null".utf8))) { try ContextScanner().scan(root: scratch.path) }
    }

    @Test func `An index spares reading what did not change and nothing else`() throws {
        let scratch = Scratch()
        try scratch.directory("tree")
        for number in 0..<50 { try scratch.file("tree/d\(number % 5)/\(number)", "\(number)") }
        let scanner = ContextScanner(index: scratch.at("index"))
        let first = try scanner.scan(root: scratch.at("tree"))
        #expect(first.hashedCount == 50)
        // The files are younger than the settling time: nothing may be trusted yet.
        let second = try scanner.scan(root: scratch.at("tree"))
        #expect(second.hashedCount == 50)
        let old = ScanIndex(path: scratch.at("index"))
        #expect(old.count == 0)
        #expect(first.root == second.root)
    }

    @Test func `With an index that is trusted exactly the changed files are read`() throws {
        let scratch = Scratch()
        for number in 0..<50 { try scratch.file("tree/d\(number % 5)/\(number)", "\(number)") }
        var scanner = ContextScanner(index: scratch.at("index"))
        // As if the files had been written long ago.
        scanner.settlingTime = -1_000_000_000
        let first = try scanner.scan(root: scratch.at("tree"))
        #expect(first.hashedCount == 50)
        #expect(try scanner.scan(root: scratch.at("tree")).hashedCount == 0)
        // Another file under the old name: same size and, as far as a program can set it, the same time.
        let status = try #require(try FileStatus.of(scratch.at("tree/d2/7")))
        try scratch.file("tree/d2/7", "X")
        clinux_set_times(AT_FDCWD, String(decoding: scratch.at("tree/d2/7"), as: UTF8.self), status.modified, status.modified)
        let changed = try scanner.scan(root: scratch.at("tree"))
        #expect(changed.hashedCount == 1)
        #expect(changed.files[Digest.of("X")] != nil)
        #expect(changed.root != first.root)
        Scratch.remove(scratch.at("tree/d3"))
        #expect(try scanner.scan(root: scratch.at("tree")).hashedCount == 0)
        #expect(ScanIndex(path: scratch.at("index")).count == 40)
    }

    @Test func `Entries of an index are found by inode and hold only for the same times`() throws {
        let scratch = Scratch()
        var entries: [ScanIndex.Entry] = []
        var statuses: [FileStatus] = []
        for number in 0..<20 {
            try scratch.file("\(number)", "\(number)")
            let status = try #require(try FileStatus.of(scratch.at("\(number)")))
            statuses.append(status)
            entries.append(ScanIndex.Entry(status, Digest.of("\(number)")))
        }
        try ScanIndex.write(entries + entries, to: scratch.at("index"))
        let index = ScanIndex(path: scratch.at("index"))
        #expect(index.count == 20)
        for (number, status) in statuses.enumerated() {
            #expect(index.digest(of: status) == Digest.of("\(number)"))
            var other = status
            other.changed += 1
            #expect(index.digest(of: other) == nil)
        }
    }

    @Test func `A damaged index counts as empty`() throws {
        let scratch = Scratch()
        try scratch.file("x", "x")
        let status = try #require(try FileStatus.of(scratch.at("x")))
        try ScanIndex.write([ScanIndex.Entry(status, Digest.of("x"))], to: scratch.at("index"))
        let whole = try FileDescriptor(scratch.at("index")).readAll(limit: 1000)
        for position in 0..<whole.count {
            var bytes = whole
            bytes[position] ^= 1
            try scratch.file(Array("index".utf8), bytes)
            #expect(ScanIndex(path: scratch.at("index")).count == 0)
            try scratch.file(Array("index".utf8), Array(whole[..<position]))
            #expect(ScanIndex(path: scratch.at("index")).count == 0)
        }
    }

    @Test func `Large and small files give the digests of their contents`() throws {
        let scratch = Scratch()
        var random = Seeded(5)
        for size in [0, 1, 4096, 262_144, 1 << 20, 3_000_001] {
            let content = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            try scratch.file(Array("\(size)".utf8), content)
            let tree = try ContextScanner().scan(root: scratch.path)
            #expect(tree.files[Digest.of(content)]?.size == Int64(size))
        }
    }

    @Test func `A file that changes between scan and upload is an error that names it`() throws {
        let scratch = Scratch()
        try scratch.file("file", "before")
        let tree = try ContextScanner().scan(root: scratch.path)
        try scratch.file("file", "after!")
        scratch.age("file", seconds: 5)
        #expect(throws: FileTreeError.changedWhileRead(path: Array("file".utf8))) {
            try tree.writeContents([Digest.of("before")], to: Buffer())
        }
    }

    @Test func `Contents arrive as they were scanned`() throws {
        let scratch = Scratch()
        for number in 0..<30 { try scratch.file("\(number)", String(repeating: "\(number)", count: number * 1000)) }
        let tree = try ContextScanner().scan(root: scratch.path)
        let buffer = Buffer()
        try tree.writeContents(tree.files.keys, to: buffer)
        let reader = ContentPackReader(buffer)
        var found: Set<Digest> = []
        while let header = try reader.next() {
            try reader.skip()
            found.insert(header.digest)
        }
        #expect(found == Set(tree.files.keys))
    }
}
