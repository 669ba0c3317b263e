import BlockingIO
import CLinux
import Digests
import Glibc
import Synchronization

/// Hashes files as fast as the machine allows: holes cost next to nothing, large files use several threads.
enum ContentHashing {
    /// Smaller parts of a file are hashed before another thread has begun.
    private static let sharedFrom: UInt64 = 16 << 20
    /// What the threads hash before their digests are put together: a few ten milliseconds' work, and 256 KiB of digests.
    private static let portion: UInt64 = 32 << 20
    /// What one thread takes at a time, a number of blocks: small against a portion, so that none waits long for another.
    private static let share: UInt64 = 4 << 20
    /// Fits into the caches of a processor, twice.
    private static let readAtOnce = 128 << 10
    /// Others want to compute, too. SHA-256 does more than a gigabyte a second on one of them.
    private static let threads = min(4, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))

    /// The digest of an open file and its size. Throws where it changes meanwhile.
    ///
    /// - Parameters:
    ///   - lists: get the digests of the blocks of a large file.
    ///   - older: what is the same in it need not be hashed.
    static func digest(
        of file: Descriptor, _ path: TreePath, lists: BlockLists?, older: KnownBlocks? = nil
    ) throws -> (digest: Digest, size: UInt64) {
        let status = try file.status(path)
        let size = UInt64(clamping: status.st_size)
        let isByBlocks = ContentDigest.isByBlocks(size: size)
        if isByBlocks, lseek(file.number, 0, CLINUX_SEEK_DATA) < 0, errno == ENXIO { return (try HoleDigests.of(size: size), size) }
        let isListed = isByBlocks && BlockLists.isWorthwhile(size: size, data: UInt64(clamping: status.st_blocks) * 512)
        var hasher = ContentHasher(size: size, list: isListed ? try lists?.writer(size: size) : nil)
        try file.eachExtent(size: size, path) { extent in
            if extent.isHole {
                try hasher.update(zeros: extent.length)
            } else if isByBlocks {
                try hashShared(extent, of: file, path, older, into: &hasher)
            } else {
                try file.eachPortion(of: extent, path) { try hasher.update($0) }
            }
        }
        guard UInt64(clamping: try file.status(path).st_size) == size else { throw TreeSyncError.contentGone(path: TreePaths.text(path)) }
        return (try hasher.finalize(), size)
    }

    /// The part begins at a block, so that its blocks can be hashed in any order.
    private static func hashShared(
        _ extent: FileExtent, of file: Descriptor, _ path: TreePath, _ older: KnownBlocks?, into hasher: inout ContentHasher
    ) throws {
        let threads = extent.length >= sharedFrom ? threads : 1
        var done: UInt64 = 0
        while done < extent.length {
            let length = min(portion, extent.length - done)
            let start = extent.position + done
            let shares = Int((length + share - 1) / share)
            let next = Atomic(0)
            let leaves = Mutex([[UInt8]](repeating: [], count: shares))
            try withThreads(min(threads, shares)) { _ in
                // By the next one that is open, not by the thread's number: there may be fewer threads.
                while true {
                    let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                    guard index < shares else { return }
                    let offset = UInt64(index) * share
                    let part = FileExtent(position: start + offset, length: min(share, length - offset), isHole: false)
                    let made = try hash(part, of: file, path, older)
                    leaves.withLock { $0[index] = made }
                }
            }
            for made in leaves.withLock({ $0 }) { try made.withUnsafeBytes { try hasher.update(leaves: $0) } }
            done += length
        }
    }

    /// The digests of the blocks of a part.
    private static func hash(_ part: FileExtent, of file: Descriptor, _ path: TreePath, _ older: KnownBlocks?) throws -> [UInt8] {
        let block = UInt64(ContentDigest.blockSize)
        var leaves: [UInt8] = []
        leaves.reserveCapacity(Int((part.length + block - 1) / block) * Digest.byteCount)
        func add(_ bytes: UnsafeRawBufferPointer) { Digest.of(bytes).withUnsafeBytes { leaves.append(contentsOf: $0) } }
        guard let older else {
            try file.eachPortion(of: part, path, atMost: readAtOnce) { bytes in
                for place in stride(from: 0, to: bytes.count, by: ContentDigest.blockSize) {
                    add(UnsafeRawBufferPointer(rebasing: bytes[place..<min(bytes.count, place + ContentDigest.blockSize)]))
                }
            }
            return leaves
        }
        var comparison = KnownBlocks.Comparison(older, portion: readAtOnce)
        var position = part.position
        try file.eachPortion(of: part, path, atMost: readAtOnce) { bytes in
            comparison.eachBlock(of: bytes, at: position) { block, known in
                if let known { leaves.append(contentsOf: known) } else { add(block) }
            }
            position += UInt64(bytes.count)
        }
        return leaves
    }
}
