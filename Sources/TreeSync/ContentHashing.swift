import BlockingIO
import Digests
import Glibc
import Synchronization

/// Hashes files as fast as the machine allows: holes cost next to nothing, large files use several threads.
enum ContentHashing {
    /// Smaller parts of a file are hashed before another thread has begun.
    private static let sharedFrom: UInt64 = 16 << 20
    /// What the threads hash before their digests are put together: a few ten milliseconds' work, and 256 KiB of digests.
    private static let portion: UInt64 = 32 << 20
    /// Others want to compute, too. SHA-256 does more than a gigabyte a second on one of them.
    private static let threads = min(4, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))

    /// The digest of an open file and its size. Throws where it changes meanwhile.
    ///
    /// - Parameter lists: get the digests of the blocks of a large file.
    static func digest(of file: Descriptor, _ path: TreePath, lists: BlockLists?) throws -> (digest: Digest, size: UInt64) {
        let status = try file.status(path)
        let size = UInt64(clamping: status.st_size)
        let isByBlocks = ContentDigest.isByBlocks(size: size)
        let isListed = isByBlocks && BlockLists.isWorthwhile(size: size, data: UInt64(clamping: status.st_blocks) * 512)
        var hasher = ContentHasher(size: size, list: isListed ? try lists?.writer(size: size) : nil)
        try file.eachExtent(size: size, path) { extent in
            if extent.isHole {
                try hasher.update(zeros: extent.length)
            } else if isByBlocks, extent.length >= sharedFrom, threads > 1 {
                try hashShared(extent, of: file, path, into: &hasher)
            } else {
                try file.eachPortion(of: extent, path) { try hasher.update($0) }
            }
        }
        guard UInt64(clamping: try file.status(path).st_size) == size else { throw TreeSyncError.contentGone(path: TreePaths.text(path)) }
        return (try hasher.finalize(), size)
    }

    /// The part begins at a block, so that its blocks can be hashed in any order.
    private static func hashShared(_ extent: FileExtent, of file: Descriptor, _ path: TreePath, into hasher: inout ContentHasher) throws {
        let block = UInt64(ContentDigest.blockSize)
        var done: UInt64 = 0
        while done < extent.length {
            let length = min(portion, extent.length - done)
            let start = extent.position + done
            // Whole blocks for each thread but the last.
            let share = ((length + block - 1) / block + UInt64(threads) - 1) / UInt64(threads) * block
            let shares = Int((length + share - 1) / share)
            let next = Atomic(0)
            let leaves = Mutex([[UInt8]](repeating: [], count: shares))
            try withThreads(shares) { _ in
                // By the next one that is open, not by the thread's number: there may be fewer threads.
                while true {
                    let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                    guard index < shares else { return }
                    let offset = UInt64(index) * share
                    let part = FileExtent(position: start + offset, length: min(share, length - offset), isHole: false)
                    var own: [UInt8] = []
                    own.reserveCapacity(Int((part.length + block - 1) / block) * Digest.byteCount)
                    try file.eachPortion(of: part, path) { bytes in
                        for place in stride(from: 0, to: bytes.count, by: ContentDigest.blockSize) {
                            let one = bytes[place..<min(bytes.count, place + ContentDigest.blockSize)]
                            Digest.of(UnsafeRawBufferPointer(rebasing: one)).withUnsafeBytes { own.append(contentsOf: $0) }
                        }
                    }
                    let made = own
                    leaves.withLock { $0[index] = made }
                }
            }
            for made in leaves.withLock({ $0 }) { try made.withUnsafeBytes { try hasher.update(leaves: $0) } }
            done += length
        }
    }
}
