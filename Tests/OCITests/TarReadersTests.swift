import Glibc
import Testing

@testable import OCI

@Suite(.enabled(if: geteuid() == 0, "needs root"))
struct `Other programs read our archives` {
    private static let listing = """
        import hashlib, os, stat, sys
        def walk(root):
            for directory, names, files in os.walk(os.fsencode(root)):
                for name in sorted(names + files):
                    path = os.path.join(directory, name)
                    s = os.lstat(path)
                    mode = s.st_mode if not stat.S_ISLNK(s.st_mode) else 0
                    text = os.readlink(path) if stat.S_ISLNK(s.st_mode) else b''
                    if stat.S_ISREG(s.st_mode): text = hashlib.sha256(open(path, 'rb').read()).digest()
                    links = s.st_nlink if not stat.S_ISDIR(s.st_mode) else 0
                    yield repr((os.path.relpath(path, os.fsencode(root)), mode, s.st_uid, s.st_gid, max(s.st_mtime_ns, 0) if s.st_mtime_ns >= 0 else 0, links, text, s.st_rdev))
        print('\\n'.join(sorted(walk(sys.argv[1]))))
        """

    @Test(arguments: 100..<112 as Range<UInt64>)
    func `GNU tar extracts what went in`(seed: UInt64) throws {
        let directory = try TemporaryDirectory()
        var tree = RandomTree(seed: seed, overlay: false)
        try tree.make(in: directory["original"])
        let bytes = ByteCollector()
        _ = try LayerArchive.write(directory: directory["original"], form: .plain, to: bytes)
        try bytes.bytes.withUnsafeBytes { try save($0, directory["a.tar"]) }
        try shell("cd \(directory.path); mkdir copy; tar --xattrs --xattrs-include='*' -xpf a.tar -C copy")
        try Array(Self.listing.utf8).withUnsafeBytes { try save($0, directory["list.py"]) }
        let original = try shell("python3 \(directory["list.py"]) \(directory["original"])")
        #expect(try shell("python3 \(directory["list.py"]) \(directory["copy"])") == original)
    }

    @Test func `Large numbers and long names have pax records`() throws {
        let directory = try TemporaryDirectory()
        var large = entry(String(repeating: "x", count: 120), .file(size: 9_000_000_000), mode: 0o600)
        large.uid = 3_000_000
        large.seconds = 1_700_000_000
        large.nanoseconds = 120_000_000
        let header = try TarHeader.encode(large, canonicalMark: true)
        try header.withUnsafeBytes { try save($0, directory["header"]) }
        // The content is a hole.
        try shell("cd \(directory.path); truncate -s $((\(header.count) + 9000000000 + 512 * 4)) header")
        let script = "import tarfile; m = tarfile.open('\(directory["header"])').next(); print(m.size, m.uid, m.mtime, len(m.name))"
        #expect(try run("python3", "-c", script) == "9000000000 3000000 1700000000.12 120\n")
    }

    @Test(arguments: [(99, 1), (100, 1), (101, 1), (60, 2), (100, 2), (80, 3), (154, 2), (255, 1), (200, 4), (50, 20)])
    func `Names of every length come back`(length: Int, components: Int) throws {
        let path = Array(repeating: String(repeating: "n", count: min(length, 255)), count: components).joined(separator: "/")
        let bytes = try archive([entry(path), entry(path + "d", .directory), entry("s", .symbolicLink(target: Array(path.utf8)))])
        let tar = try TarReader(ByteGiver(bytes), limits: LayerLimits())
        #expect(try tar.next()?.path == Array(path.utf8))
        if length < 255 { #expect(try tar.next()?.path == Array((path + "d").utf8)) }
    }
}
