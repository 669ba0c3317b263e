import Digests
import Glibc

/// What is in a pack file and where: the file beside it. `docs/formats.md`, "Pack index".
struct PackIndex: Sendable {
    struct Entry: Sendable {
        var digest: Digest
        /// Of the first byte of the content in the pack.
        var offset: UInt64
        var length: UInt64
    }

    private static let magic: [UInt8] = Array("FPI1".utf8)
    private static let headerSize = 4 + 4 + 8
    private static let entrySize = Digest.byteCount + 16
    /// Twenty million contents: far more than one upload has.
    private static let sizeLimit = 1 << 30

    /// Sorted by digest.
    let entries: [Entry]
    /// Bytes of the pack file.
    let packSize: UInt64

    /// - Parameter entries: in any order.
    init(entries: [Entry], packSize: UInt64) {
        self.entries = entries.sorted { $0.digest < $1.digest }
        self.packSize = packSize
    }

    /// Throws where the file is not there or not whole.
    init(path: [UInt8]) throws {
        let bytes = try FileDescriptor(path).readAll(limit: Self.sizeLimit)
        let what = "pack index '\(FileTreeError.text(path))'"
        let end = bytes.count - Digest.byteCount
        guard end >= Self.headerSize, bytes.starts(with: Self.magic), Digest(bytes: bytes[end...]) == Digest.of(Array(bytes[..<end])) else {
            throw FileTreeError.malformed(what: what, reason: "its checksum is wrong")
        }
        var reader = ByteReader(Array(bytes[Self.magic.count..<end]), what: what)
        let count = Int(try reader.integer(UInt32.self))
        packSize = try reader.integer(UInt64.self)
        guard reader.remaining == count * Self.entrySize else { throw reader.error("its length is wrong") }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let entry = Entry(
                digest: try reader.digest(), offset: try reader.integer(UInt64.self), length: try reader.integer(UInt64.self))
            guard entry.offset <= packSize, entry.length <= packSize - entry.offset else { throw reader.error("an entry is out of range") }
            entries.append(entry)
        }
        self.entries = entries
    }

    func encoded() -> [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(Self.headerSize + entries.count * Self.entrySize + Digest.byteCount)
        bytes.append(contentsOf: Self.magic)
        bytes.append(UInt32(entries.count))
        bytes.append(packSize)
        for entry in entries {
            bytes.append(entry.digest)
            bytes.append(entry.offset)
            bytes.append(entry.length)
        }
        bytes.append(Digest.of(bytes))
        return bytes
    }
}
