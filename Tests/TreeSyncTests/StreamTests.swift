import BlockingIO
import Digests
import Glibc
import Testing

@testable import TreeSync

struct StreamTests {
    private func random(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = Seeded(seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    @Test(arguments: [0, 1, 1000, 131_072, 131_073, 1_000_000]) func `blocks give back what was written`(count: Int) throws {
        for bytes in [random(count, seed: 1), [UInt8](repeating: 7, count: count)] {
            let wire = MemoryStream()
            let sink = BlockSink(wire)
            for start in stride(from: 0, to: count, by: 777) { try sink.write(Array(bytes[start..<min(start + 777, count)])) }
            try sink.finish()
            let source = BlockSource(wire)
            #expect(try source.rest(upTo: count) == bytes)
            #expect(source.received == Int64(wire.bytes.count))
        }
    }

    @Test func `what shrinks is sent shrunk, and the rest costs next to nothing`() throws {
        func wire(_ bytes: [UInt8]) throws -> Int {
            let wire = MemoryStream()
            let sink = BlockSink(wire)
            try sink.write(bytes)
            try sink.finish()
            return wire.bytes.count
        }
        #expect(try wire([UInt8](repeating: 7, count: 1_000_000)) < 2000)
        #expect(try wire(random(1_000_000, seed: 2)) < 1_000_100)
    }

    @Test func `a damaged stream of blocks is refused`() throws {
        let wire = MemoryStream()
        let sink = BlockSink(wire)
        try sink.write([UInt8](repeating: 7, count: 300_000) + random(2000, seed: 3))
        try sink.finish()
        var random = Seeded(4)
        for count in stride(from: 0, to: wire.bytes.count, by: 11) {
            #expect(throws: TreeSyncError.self) { try BlockSource(MemoryStream(Array(wire.bytes.prefix(count)))).rest(upTo: 1 << 20) }
        }
        for _ in 0..<3000 {
            var bytes = wire.bytes
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
            let got = try? BlockSource(MemoryStream(bytes)).rest(upTo: 1 << 20)
            #expect((got?.count ?? 0) <= 1 << 20)
        }
        #expect(throws: TreeSyncError.self) { try BlockSource(MemoryStream(wire.bytes)).rest(upTo: 301_999) }
    }

    @Test(arguments: [(200_000, 5), (3_000_000, 40), (16_384, 1)]) func `an rsync delta makes the new file of the old one`(
        size: Int, edits: Int
    ) throws {
        let old = random(size, seed: UInt64(size))
        var new = old
        var random = Seeded(9)
        for _ in 0..<edits {
            let place = Int.random(in: 0..<new.count, using: &random)
            new.replaceSubrange(place..<min(new.count, place + 3), with: [1, 2, 3, 4, 5])
        }
        try withFile(old) { file in
            let signature = MemoryStream()
            try Rsync.writeSignature(of: MemoryStream(old), size: UInt64(old.count), to: signature)
            let delta = MemoryStream()
            try Rsync.writeDelta(signature: signature, new: MemoryStream(new), to: delta)
            #expect(delta.bytes.count < edits * 2 * 2100 + 1000)
            let made = MemoryStream()
            try Rsync.patch(old: file, size: UInt64(old.count), delta: MemoryStream(delta.bytes), to: made)
            #expect(made.bytes == new)
        }
    }

    @Test func `a delta that copies from outside the old file is refused`() throws {
        let old = random(10_000, seed: 5)
        try withFile(old) { file in
            // Magic, then COPY_N8_N8 (0x54) with a position and a length of eight bytes each, then END.
            func delta(_ position: UInt64, _ length: UInt64) -> [UInt8] {
                [0x72, 0x73, 0x02, 0x36, 0x54] + (0..<8).map { UInt8(truncatingIfNeeded: position >> (56 - 8 * $0)) }
                    + (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) } + [0]
            }
            let made = MemoryStream()
            try Rsync.patch(old: file, size: 10_000, delta: MemoryStream(delta(4000, 6000)), to: made)
            #expect(made.bytes == Array(old[4000...]))
            for (position, length) in [(4000, 6001), (10_000, 1), (1 << 62, 5), (UInt64.max, 5), (0, UInt64.max), (0, 1 << 63)]
                as [(UInt64, UInt64)]
            {
                #expect(throws: TreeSyncError.self) {
                    try Rsync.patch(old: file, size: 10_000, delta: MemoryStream(delta(position, length)), to: MemoryStream())
                }
            }
        }
    }

    @Test func `signatures and deltas of noise are refused or harmless`() throws {
        let old = random(20_000, seed: 6)
        let signature = MemoryStream()
        try Rsync.writeSignature(of: MemoryStream(old), size: 20_000, to: signature)
        let delta = MemoryStream()
        try Rsync.writeDelta(signature: MemoryStream(signature.bytes), new: MemoryStream(Array(old.reversed())), to: delta)
        var random = Seeded(7)
        try withFile(old) { file in
            for _ in 0..<2000 {
                var bytes = signature.bytes
                bytes[Int.random(in: 0..<min(40, bytes.count), using: &random)] = UInt8(truncatingIfNeeded: random.next())
                try? Rsync.writeDelta(signature: MemoryStream(bytes), new: MemoryStream(Array(old.prefix(100))), to: MemoryStream())
                bytes = delta.bytes
                bytes[Int.random(in: 0..<min(40, bytes.count), using: &random)] = UInt8(truncatingIfNeeded: random.next())
                let limit = FileContent(size: 20_000, digest: .of(""))
                try? Rsync.patch(old: file, size: 20_000, delta: MemoryStream(bytes), to: Limit(limit.size))
            }
        }
    }

    @Test func `a fetch request of noise is refused`() throws {
        let directory = "/tmp/treesync-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(directory, 0o700)
        defer { try? RemoveTree.remove(directory) }
        let files = try GenerationFiles(layers: [directory])
        var random = Seeded(8)
        for path in ["../../etc/passwd", "/etc/passwd", "a/../../b"] {
            let wire = MemoryStream()
            let blocks = BlockSink(wire)
            var head = ByteEncoder()
            head.byte(FetchFormat.whole)
            head.string(Array(path.utf8))
            head.number(10)
            head.byte(FetchFormat.end)
            try blocks.write(head.bytes)
            try blocks.finish()
            #expect(throws: TreeSyncError.self) { try ContentSender.serve(request: wire, files: files, response: MemoryStream()) }
        }
        for _ in 0..<2000 {
            let wire = MemoryStream()
            let blocks = BlockSink(wire)
            try blocks.write((0..<20).map { _ in UInt8(truncatingIfNeeded: random.next() % 5) })
            try blocks.finish()
            try? ContentSender.serve(request: wire, files: files, response: MemoryStream())
        }
    }

    private struct Limit: ByteSink {
        let limit: UInt64
        init(_ limit: UInt64) { self.limit = limit }
        func write(_ bytes: UnsafeRawBufferPointer) throws {
            if UInt64(bytes.count) > limit { throw TreeSyncError.badStream("too long") }
        }
    }

    private func withFile(_ bytes: [UInt8], _ body: (Descriptor) throws -> Void) throws {
        let path = "/tmp/treesync-\(getpid())-\(UInt64.random(in: .min ... .max))"
        let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        defer { unlink(path) }
        var written = 0
        while written < bytes.count { written += bytes[written...].withUnsafeBytes { write(file.number, $0.baseAddress, $0.count) } }
        lseek(file.number, 0, SEEK_SET)
        try body(file)
    }
}
