import Glibc
import Testing

@testable import OCI

@Suite(.enabled(if: geteuid() == 0, "needs root"))
struct `Unpacking into a root that is there` {
    private let temporary: TemporaryDirectory
    private let root: String

    init() throws {
        temporary = try TemporaryDirectory()
        root = temporary["root"]
        try shell(
            "mkdir -p \(root)/usr/lib \(root)/outside \(temporary.path)/outside; ln -s usr/lib \(root)/lib; ln -s /usr/lib \(root)/abs; ln -s ../../outside \(root)/out"
        )
    }

    private func unpack(_ bytes: [UInt8], owner: ExtractedOwner = .archive, devices: ExtractedDevices = .create) throws -> ExtractionResult
    {
        try Descriptor.directory(root).use {
            try LayerArchive.unpack(from: ByteGiver(bytes), intoRoot: $0, owner: owner, devices: devices)
        }
    }

    @Test func `Links that are there lead where they would in the root`() throws {
        _ = try unpack(archive([entry("lib/a"), entry("abs/b"), entry("out/c"), entry("new/deep/d")]))
        // `..` stops at the root.
        #expect(
            try shell("cd \(root); ls usr/lib outside new/deep; ls \(temporary.path)/outside")
                == "new/deep:\nd\n\noutside:\nc\n\nusr/lib:\na\nb\n")
    }

    @Test func `A link of the archive does not lead out either`() throws {
        _ = try unpack(archive([entry("evil", .symbolicLink(target: Array("\(temporary.path)/outside".utf8))), entry("usr/f")]))
        #expect(throws: LayerError.self) { try unpack(archive([entry("evil/f", .hardLink(target: Array("../outside/x".utf8)))])) }
        #expect(try shell("ls \(temporary.path)/outside") == "")
    }

    @Test func `Files replace what is there, owners can be set for all`() throws {
        try shell("echo old > \(root)/f; ln \(root)/f \(root)/g")
        var file = entry("f", mode: 0o4755)
        file.uid = 7
        _ = try unpack(archive([file], contents: ["f": "new"]), owner: .fixed(uid: 12, gid: 13))
        #expect(try shell("cd \(root); cat f; echo; cat g; stat -c '%a %u %g' f") == "new\nold\n4755 12 13\n")
    }

    @Test func `Devices are skipped and counted where that is wanted`() throws {
        let bytes = try archive([entry("null", .characterDevice(major: 1, minor: 3)), entry("f")])
        #expect(try unpack(bytes, devices: .skip) == ExtractionResult(entries: 1, skippedDevices: 1))
        #expect(try shell("ls \(root)") == "abs\nf\nlib\nout\noutside\nusr\n")
        #expect(try unpack(bytes).skippedDevices == 0)
        #expect(try shell("stat -c %F \(root)/null") == "character special file\n")
    }

    @Test(arguments: ["cat", "gzip", "bzip2", "xz", "zstd"])
    func `Every compression is recognized by content`(program: String) throws {
        try #require(hasProgram(program), "needs \(program)")
        let name = temporary["archive"]
        try shell("cd \(temporary.path); mkdir x; echo hello > x/f; tar -cf - -C x . | \(program) > archive")
        let file = open(name, O_RDONLY)
        defer { close(file) }
        #expect(try LayerArchive.isArchive(file))
        #expect(lseek(file, 0, SEEK_CUR) == 0)
        _ = try Descriptor.directory(root).use {
            try LayerArchive.unpack(from: FileSource(file), intoRoot: $0, owner: .caller, devices: .skip)
        }
        #expect(try shell("cat \(root)/f") == "hello\n")
    }

    @Test(arguments: [
        "", "text", "\u{1f}", "BZh", "PK\u{3}\u{4}", String(repeating: "\u{0}", count: 2000), String(repeating: "x", count: 2000),
    ])
    func `Other files are no archives`(content: String) throws {
        let name = temporary["file"]
        try Array(content.utf8).withUnsafeBytes { try save($0, name) }
        let file = open(name, O_RDONLY)
        defer { close(file) }
        #expect(try !LayerArchive.isArchive(file))
    }

    @Test func `A compressed text is no archive`() throws {
        try shell("cd \(temporary.path); echo hello | gzip > file.gz")
        let file = open(temporary["file.gz"], O_RDONLY)
        defer { close(file) }
        #expect(try !LayerArchive.isArchive(file))
    }
}
