import BlockingIO
import Digests
import Glibc

/// Writes one file: no more bytes than announced, hashed on the way, holes where there are only zeros if that is wished.
final class FileSink: ByteSink {
    /// The unit of holes: a block of the file systems that we know.
    static let holeSize = 4096

    private let file: Descriptor
    private let path: TreePath
    private let expected: FileContent
    // Nil once the digest was taken.
    private var hasher: ContentHasher?
    private var position: UInt64 = 0
    /// What was left out as holes that the other side named.
    private var skipped: UInt64 = 0
    /// All of it is one hole.
    private var isHole = false

    /// The list of a sparse file is begun only up to this size: what it will be worth is known at the end.
    private static let listedSparse: UInt64 = 16 << 30

    /// - Parameter lists: get the digests of the blocks of a large file.
    init(_ file: Descriptor, path: TreePath, expected: FileContent, lists: BlockLists?) throws {
        self.file = file
        let isListed = ContentDigest.isByBlocks(size: expected.size) && !(expected.isSparse && expected.size > Self.listedSparse)
        hasher = ContentHasher(size: expected.size, list: isListed ? try lists?.writer(size: expected.size) : nil)
        self.path = path
        self.expected = expected
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard UInt64(bytes.count) <= expected.size - position else { throw TreeSyncError.digestMismatch(path: TreePaths.text(path)) }
        try hasher?.update(bytes)
        if expected.isSparse { try writeWithHoles(bytes) } else { try writeAll(bytes) }
    }

    /// Leaves a hole of so many bytes.
    func skip(_ count: UInt64) throws {
        guard count <= expected.size - position else { throw TreeSyncError.digestMismatch(path: TreePaths.text(path)) }
        if count == expected.size, ContentDigest.isByBlocks(size: count) {
            isHole = true
            hasher = nil
        }
        try hasher?.update(zeros: count)
        position += count
        skipped += count
    }

    /// Verifies size and digest.
    func finish() throws {
        if !BlockLists.isWorthwhile(size: expected.size, data: expected.size - skipped) { hasher?.dropList() }
        let digest = isHole ? try HoleDigests.of(size: expected.size) : try hasher.take()?.finalize()
        guard position == expected.size, digest == expected.digest else {
            throw TreeSyncError.digestMismatch(path: TreePaths.text(path))
        }
        if expected.isSparse || skipped > 0, ftruncate(file.number, off_t(position)) != 0 { throw TreeSyncError.last("sizing", path) }
    }

    private func writeWithHoles(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let toBoundary = Self.holeSize - Int(position % UInt64(Self.holeSize))
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(toBoundary))
            if part.allSatisfy({ $0 == 0 }) { position += UInt64(part.count) } else { try writeAll(part) }
            rest = rest.dropFirst(part.count)
        }
    }

    private func writeAll(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            let count = pwrite(file.number, part.baseAddress, part.count, off_t(position))
            if count < 0 {
                if errno == EINTR { continue }
                throw TreeSyncError.last("writing", path)
            }
            position += UInt64(count)
            rest = rest.dropFirst(count)
        }
    }
}
