import BlockingIO
import Digests
import Glibc
import OCI
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"))
struct `Layer archives` {
    @Test(arguments: 0..<60 as Range<UInt64>)
    func `A random layer comes out of its archive as it went in`(seed: UInt64) throws {
        let directory = try TemporaryDirectory()
        let form: LayerForm = seed % 3 == 0 ? .plain : .overlayUpper
        var tree = RandomTree(seed: seed, overlay: form == .overlayUpper)
        try tree.make(in: directory["original"])
        let archive = ByteCollector()
        let written = try LayerArchive.write(directory: directory["original"], form: form, to: archive)
        #expect(written.size == archive.bytes.count)
        #expect(written.diffID == Digest.of(archive.bytes))

        let source = ByteGiver(archive.bytes, portion: seed % 2 == 0 ? .max : 777)
        let extracted = try LayerArchive.extract(from: source, into: directory["copy"], form: form)
        #expect(extracted == written)
        #expect(try LayerArchive.write(directory: directory["copy"], form: form, to: nil) == written)
    }

    @Test func `A tree of the greatest depth goes through, a deeper one is refused`() async throws {
        let directory = try TemporaryDirectory()
        let deepest = directory["deepest"]
        let path = Array(repeating: "d", count: LayerLimits.maximumDepth - 1).joined(separator: "/")
        try shell("mkdir -p \(deepest)/\(path); touch \(deepest)/\(path)/f")
        let copy = directory["copy"]
        // On the stack of a thread for blocking work, as in the agent.
        try await BlockingPool.shared.run {
            let archive = ByteCollector()
            let written = try LayerArchive.write(directory: deepest, form: .overlayUpper, to: archive)
            #expect(try LayerArchive.extract(from: ByteGiver(archive.bytes), into: copy, form: .overlayUpper) == written)
            #expect(try LayerArchive.write(directory: copy, form: .overlayUpper, to: nil) == written)
        }
        try shell("mkdir -p \(deepest)/\(path)/d/e")
        await #expect(throws: LayerError.self) {
            try await BlockingPool.shared.run { _ = try LayerArchive.write(directory: deepest, form: .overlayUpper, to: nil) }
        }
    }

    @Test func `Files with holes are whole in the archive and come back equal`() throws {
        let directory = try TemporaryDirectory()
        try shell("cd \(directory.path); mkdir a; truncate -s 3M a/hole; printf end >> a/hole; mkdir b; tar -cSf sparse.tar -C a .")
        let sparse = open(directory["sparse.tar"], O_RDONLY)
        defer { close(sparse) }
        _ = try LayerArchive.extract(from: FileSource(sparse), into: directory["c"], form: .plain)
        #expect(try shell("cd \(directory.path); cmp a/hole c/hole; stat -c %s c/hole") == "3145731\n")
    }

    @Test func `A capability of a program is kept`() throws {
        let directory = try TemporaryDirectory()
        try shell("mkdir \(directory["a"]); cp /bin/true \(directory["a"])/program; chown 5:6 \(directory["a"])/program")
        let value = "0x0100000200040000000000000000000000000000"
        try shell(
            "python3 -c \"import os; os.setxattr('\(directory["a"])/program', 'security.capability', bytes.fromhex('\(value.dropFirst(2))'))\""
        )
        let archive = ByteCollector()
        let written = try LayerArchive.write(directory: directory["a"], form: .overlayUpper, to: archive)
        _ = try LayerArchive.extract(from: ByteGiver(archive.bytes), into: directory["b"], form: .overlayUpper)
        #expect(try LayerArchive.write(directory: directory["b"], form: .overlayUpper, to: nil) == written)
        let found = try shell("python3 -c \"import os; print(os.getxattr('\(directory["b"])/program', 'security.capability').hex())\"")
        #expect(found == value.dropFirst(2) + "\n")
    }
}
