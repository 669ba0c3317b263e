import CLinux
import Digests
import Glibc

/// The blocks of a large file's older version and their digests, so that of a newer one only what differs is hashed: comparing takes a
/// quarter of the time.
///
/// The digests are those that the older version was published with; together they give its digest, which is checked first. Should the
/// older file's bytes have changed on the disk since, the newer version gets the digest of what they were: that shows up when it is verified or
/// brought by others, as it does with the older version, whereas hashing would take the damage for content.
final class KnownBlocks: Sendable {
    private let file: Descriptor
    private let list: Descriptor
    private let size: UInt64

    /// Nil where the digests are not there, or damaged. Reads all of them: a 128th of the file.
    ///
    /// - Parameter file: the older version.
    init?(of content: FileContent, in file: Descriptor, lists: BlockLists) {
        guard let list = lists.open(content.digest, size: content.size), let status = try? file.status([]),
            UInt64(clamping: status.st_size) == content.size,
            (try? Self.digest(of: list, size: content.size)) == content.digest
        else { return nil }
        self.file = file
        self.list = list
        size = content.size
    }

    private static func digest(of list: Descriptor, size: UInt64) throws -> Digest {
        var hasher = ContentHasher(size: size)
        let part = FileExtent(position: 0, length: BlockLists.length(forSize: size), isHole: false)
        try list.eachPortion(of: part, []) { try hasher.update(leaves: $0) }
        return try hasher.finalize()
    }

    /// Compares a part of the newer version, portion by portion, in order. For one thread.
    struct Comparison: ~Copyable {
        private let known: KnownBlocks
        private let older: UnsafeMutableRawBufferPointer
        private let leaves: UnsafeMutableRawBufferPointer
        /// Blocks that were compared while none was the same.
        private var strangers = 0

        /// After so many the part is taken for new.
        private static let patience = 64

        /// - Parameter portion: the most bytes at once.
        init(_ known: KnownBlocks, portion: Int) {
            self.known = known
            older = .allocate(byteCount: portion, alignment: 16)
            leaves = .allocate(byteCount: (portion / ContentDigest.blockSize + 1) * Digest.byteCount, alignment: 16)
        }

        deinit {
            older.deallocate()
            leaves.deallocate()
        }

        /// Gives each block to the body, in order, with its digest where it is the same in the older version.
        ///
        /// - Parameter bytes: what the newer version has at that position, which begins a block.
        mutating func eachBlock(
            of bytes: UnsafeRawBufferPointer, at position: UInt64,
            _ body: (_ block: UnsafeRawBufferPointer, _ known: UnsafeRawBufferPointer?) -> Void
        ) {
            let there = strangers < Self.patience ? read(bytes.count, at: position) : 0
            let block = ContentDigest.blockSize
            for start in stride(from: 0, to: bytes.count, by: block) {
                let one = UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + block)])
                let end = start + one.count
                // A last block that is not whole is the same only as one that ends there as well.
                let isWhole = one.count == block || position + UInt64(end) == known.size
                if end <= there, isWhole, let a = one.baseAddress, let b = older.baseAddress, memcmp(a, b + start, one.count) == 0 {
                    strangers = 0
                    let leaf = start / block * Digest.byteCount
                    body(one, UnsafeRawBufferPointer(rebasing: leaves[leaf..<leaf + Digest.byteCount]))
                } else {
                    strangers += 1
                    body(one, nil)
                }
            }
        }

        /// Reads what the older version has there and the digests; only what is in memory: from a disk it would take longer than hashing.
        private func read(_ count: Int, at position: UInt64) -> Int {
            let got = clinux_read_cached(known.file.number, older.baseAddress, count, Int64(clamping: position))
            guard got > 0 else { return 0 }
            let block = ContentDigest.blockSize
            let place = position / UInt64(block) * UInt64(Digest.byteCount)
            let listed = UnsafeMutableRawBufferPointer(rebasing: leaves.prefix((got + block - 1) / block * Digest.byteCount))
            return (try? known.list.readFully(at: place, into: listed)) == true ? got : 0
        }
    }
}
