import Digests
import Synchronization

/// The digest of a file's content.
///
/// Small files have the SHA-256 of their bytes. Large ones have the SHA-256 of a header, their size and the SHA-256 of each of their
/// blocks, so that a few changed blocks can be verified without reading the rest again.
public enum ContentDigest {
    /// The unit in which changes of large files move.
    public static let blockSize = 4096
    /// From this size on by blocks. Smaller ones are read as a whole in a few milliseconds.
    public static let threshold: UInt64 = 8 << 20
    static let header = Array("farm blocks of 4096\n".utf8)

    /// Whether a file of that size has a digest by blocks.
    public static func isByBlocks(size: UInt64) -> Bool { size >= threshold }

    /// The digest of content in memory.
    public static func of(_ bytes: UnsafeRawBufferPointer) -> Digest {
        var hasher = ContentHasher(size: UInt64(bytes.count))
        // Without a list there is nothing that could fail.
        try? hasher.update(bytes)
        return (try? hasher.finalize()) ?? Digest.of(bytes)
    }
}

/// The digests of files that are nothing but one hole. Of one of 4 TiB it takes half a minute, as there are 32 GiB of digests of its blocks; each
/// is computed once.
enum HoleDigests {
    private static let known = Mutex<[UInt64: Digest]>([:])
    /// One at a time: who else asks mostly wants the same.
    private static let computing = Mutex(())
    /// Sizes that are remembered.
    private static let limit = 1000

    /// The digest of so many zeros.
    static func of(size: UInt64) throws -> Digest {
        if let digest = known.withLock({ $0[size] }) { return digest }
        return try computing.withLock { _ in
            if let digest = known.withLock({ $0[size] }) { return digest }
            var hasher = ContentHasher(size: size)
            try hasher.update(zeros: size)
            let digest = try hasher.finalize()
            known.withLock { known in
                if known.count >= limit { known.removeAll() }
                known[size] = digest
            }
            return digest
        }
    }
}

/// A running ``ContentDigest`` of content whose size is known; what it makes is right only for so many bytes.
struct ContentHasher: ~Copyable {
    private let isByBlocks: Bool
    private var list: BlockListWriter?
    private var hasher = SHA256Hasher()
    /// The beginning of a block.
    private var partial: [UInt8] = []
    /// Digests of blocks that are not yet hashed into the whole.
    private var leaves: [UInt8] = []

    private static let leavesAtOnce = 64 << 10
    private static let zeroBlock = [UInt8](repeating: 0, count: ContentDigest.blockSize)
    /// What a hole of so many blocks is hashed as.
    private static let zeroLeaves: [UInt8] = {
        let leaf = Digest.of(zeroBlock).bytes
        return (0..<leavesAtOnce / Digest.byteCount).flatMap { _ in leaf }
    }()

    /// - Parameter list: gets the digests of the blocks; left alone for a file that has none.
    init(size: UInt64, list: BlockListWriter? = nil) {
        isByBlocks = ContentDigest.isByBlocks(size: size)
        self.list = list
        guard isByBlocks else { return }
        hasher.update(ContentDigest.header)
        withUnsafeBytes(of: size.littleEndian) { hasher.update($0) }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) throws {
        guard isByBlocks else { return hasher.update(bytes) }
        var rest = bytes[...]
        while !rest.isEmpty {
            if partial.isEmpty, rest.count >= ContentDigest.blockSize {
                try leaf(of: UnsafeRawBufferPointer(rebasing: rest.prefix(ContentDigest.blockSize)))
                rest = rest.dropFirst(ContentDigest.blockSize)
                continue
            }
            let part = rest.prefix(ContentDigest.blockSize - partial.count)
            partial.append(contentsOf: part)
            rest = rest.dropFirst(part.count)
            if partial.count == ContentDigest.blockSize { try endPartial() }
        }
    }

    /// Takes so many zeros: of a file that is hashed by blocks, a hundred times faster than by reading them.
    mutating func update(zeros count: UInt64) throws {
        var left = count
        while left > 0 {
            let block = UInt64(ContentDigest.blockSize)
            if isByBlocks, partial.isEmpty, left >= block {
                try flush()
                let blocks = min(left / block, UInt64(Self.zeroLeaves.count / Digest.byteCount))
                let isWhole = Int(blocks) * Digest.byteCount == Self.zeroLeaves.count
                let known = isWhole ? Self.zeroLeaves : Array(Self.zeroLeaves.prefix(Int(blocks) * Digest.byteCount))
                hasher.update(known)
                try list?.append(known)
                left -= blocks * block
                continue
            }
            let part = Int(min(left, block - UInt64(partial.count)))
            try Self.zeroBlock.withUnsafeBytes { try update(UnsafeRawBufferPointer(rebasing: $0.prefix(part))) }
            left -= UInt64(part)
        }
    }

    /// Takes the digests of blocks that need not be hashed again: whole ones, from the beginning of a block on.
    mutating func update(leaves known: UnsafeRawBufferPointer) throws {
        leaves.append(contentsOf: known)
        if leaves.count >= Self.leavesAtOnce { try flush() }
    }

    private mutating func endPartial() throws {
        try partial.withUnsafeBytes { try leaf(of: $0) }
        partial.removeAll(keepingCapacity: true)
    }

    private mutating func leaf(of block: UnsafeRawBufferPointer) throws {
        Digest.of(block).withUnsafeBytes { leaves.append(contentsOf: $0) }
        if leaves.count >= Self.leavesAtOnce { try flush() }
    }

    private mutating func flush() throws {
        hasher.update(leaves)
        try list?.append(leaves)
        leaves.removeAll(keepingCapacity: true)
    }

    /// There is to be no list after all.
    mutating func dropList() { list = nil }

    /// The digest; the list has its name then.
    consuming func finalize() throws -> Digest {
        if isByBlocks {
            if !partial.isEmpty { try endPartial() }
            try flush()
        }
        let digest = hasher.finalize()
        if isByBlocks { try list?.finish(as: digest) }
        return digest
    }
}
