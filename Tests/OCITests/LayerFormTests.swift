import CLinux
import Digests
import Glibc
import Testing

@testable import OCI

@Suite(.enabled(if: geteuid() == 0, "needs root"))
struct `Layer forms` {
    private let temporary: TemporaryDirectory
    private let layer: String

    init() throws {
        temporary = try TemporaryDirectory()
        layer = temporary["layer"]
    }

    private func extract(_ entries: [TarEntry], form: LayerForm = .overlayUpper) throws {
        _ = try LayerArchive.extract(from: ByteGiver(archive(entries)), into: layer, form: form)
    }

    private func isWhiteout(_ path: String) -> Bool {
        var status = stat()
        return lstat("\(layer)/\(path)", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == 0
    }

    private func isOpaque(_ path: String) -> Bool {
        var value = [UInt8](repeating: 0, count: 8)
        return clinux_lgetxattr("\(layer)/\(path)", "trusted.overlay.opaque", &value, value.count) == 1 && value[0] == UInt8(ascii: "y")
    }

    @Test func `Whiteouts become overlayfs's, and back`() throws {
        let entries = [entry("d", .directory, mode: 0o755), entry("d/.wh..wh..opq", mode: 0), entry("d/.wh.gone", mode: 0), entry("d/f")]
        try extract(entries)
        #expect(isWhiteout("d/gone"))
        #expect(isOpaque("d"))
        let again = ByteCollector()
        _ = try LayerArchive.write(directory: layer, form: .overlayUpper, to: again)
        let listing = try list(again.bytes)
        #expect(listing == ["d/", "d/.wh..wh..opq", "d/f", "d/.wh.gone"])
    }

    private func list(_ bytes: [UInt8]) throws -> [String] {
        let path = temporary["listed.tar"]
        try bytes.withUnsafeBytes { try save($0, path) }
        return try shell("tar -tf \(path)").split(separator: "\n").map(String.init)
    }

    @Test func `A directory made anew over a deletion hides what was in it`() throws {
        try extract([entry(".wh.d"), entry("d", .directory), entry("e", .directory), entry(".wh.e"), entry("f"), entry(".wh.f")])
        #expect(isOpaque("d"))
        #expect(isOpaque("e"))
        #expect(!isWhiteout("f"))
    }

    @Test func `Aufs's own files are left out`() throws {
        try extract([entry(".wh..wh.plnk", .directory), entry(".wh..wh.aufs"), entry("f")])
        #expect(try shell("ls -A \(layer)") == "f\n")
    }

    @Test func `In the plain form nothing means a deletion`() throws {
        try extract([entry(".wh.f"), entry("f")], form: .plain)
        #expect(try shell("ls -A \(layer)") == ".wh.f\nf\n")
    }

    @Test func `A file that would be read as a deletion is refused`() throws {
        try shell("mkdir \(layer); touch \(layer)/.wh.name")
        #expect(throws: LayerError.self) { try LayerArchive.write(directory: layer, form: .overlayUpper, to: nil) }
    }

    @Test func `Traces of redirects are refused`() throws {
        try shell("mkdir -p \(layer)/d")
        _ = clinux_lsetxattr("\(layer)/d", "trusted.overlay.redirect", "/x", 2, 0)
        #expect(throws: LayerError.self) { try LayerArchive.write(directory: layer, form: .overlayUpper, to: nil) }
    }

    @Test func `Directories that the archive does not mention have a fixed mode and time`() throws {
        try extract([entry("a/b/f")])
        #expect(try shell("stat -c '%a %u %Y' \(layer)/a \(layer)/a/b") == "755 0 0\n755 0 0\n")
    }

    @Test func `The root is written only where it is special`() throws {
        try shell("mkdir \(layer); touch -d @0 \(layer)/f")
        let plain = try LayerArchive.write(directory: layer, form: .overlayUpper, to: nil)
        try shell("touch \(layer)")
        #expect(try LayerArchive.write(directory: layer, form: .overlayUpper, to: nil) == plain)
        try shell("chmod 1777 \(layer)")
        let special = ByteCollector()
        #expect(try LayerArchive.write(directory: layer, form: .overlayUpper, to: special) != plain)
        #expect(try list(special.bytes) == ["./", "f"])
    }

    @Test func `An empty directory has the digest of an empty archive`() throws {
        mkdir(layer, 0o755)
        let empty = try LayerArchive.write(directory: layer, form: .overlayUpper, to: nil)
        #expect(empty.diffID == Digest.of([UInt8](repeating: 0, count: 1024)))
    }

    @Test(.enabled(if: (try? overlayWorks()) ?? false, "needs overlayfs"))
    func `What overlayfs leaves behind is read as it means it`() throws {
        // A directory of the store may itself be on overlayfs, which can't be an upper layer: a tmpfs serves everywhere.
        let mount = temporary["mount"]
        let copy = temporary["copy.tar"]
        try shell(
            """
            mkdir \(mount); mount -t tmpfs none \(mount); cd \(mount); mkdir base layer work merged
            mkdir base/old base/both; touch base/old/f base/both/f base/gone base/kept
            mount -t overlay none -o lowerdir=base,upperdir=layer,workdir=work,index=off,redirect_dir=off,metacopy=off,xino=off merged
            rm -r merged/old merged/gone merged/both; mkdir merged/both; touch merged/both/new; echo y >> merged/kept; ln merged/kept merged/linked
            umount merged
            """)
        defer { _ = try? shell("umount -l \(mount)") }
        let bytes = ByteCollector()
        _ = try LayerArchive.write(directory: mount + "/layer", form: .overlayUpper, to: bytes)
        try bytes.bytes.withUnsafeBytes { try save($0, copy) }
        #expect(
            try shell("tar -tf \(copy)") == """
                both/
                both/.wh..wh..opq
                both/new
                .wh.gone
                kept
                linked
                .wh.old

                """)
    }
}

func overlayWorks() throws -> Bool { try shell("grep -c overlay /proc/filesystems").first == "1" }

func save(_ bytes: UnsafeRawBufferPointer, _ path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0 else { throw Failure("open \(path): \(errno)") }
    defer { close(file) }
    try FileSink(file).write(bytes)
}
