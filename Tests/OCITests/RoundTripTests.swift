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
}
