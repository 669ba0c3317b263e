import CLinux
import Glibc

/// A part of a file: data, or a hole that reads as zeros and takes no room.
struct FileExtent: Sendable, Equatable {
    var position: UInt64
    var length: UInt64
    var isHole: Bool
}

extension Descriptor {
    /// Less of holes is not worth asking the file system.
    private static let worthwhileHoles: UInt64 = 64 << 10

    /// Calls the body for each part of a file of that size, in order and without a gap. Data begins and ends at blocks of
    /// ``ContentDigest``, but for the file's end; a file without holes, or on a file system that tells nothing of them, is one part.
    func eachExtent(size: UInt64, _ path: TreePath, _ body: (FileExtent) throws -> Void) throws {
        guard size > 0 else { return }
        let taken = UInt64(clamping: try status(path).st_blocks) * 512
        guard taken + Self.worthwhileHoles <= size else { return try body(FileExtent(position: 0, length: size, isHole: false)) }
        let block = UInt64(ContentDigest.blockSize)
        var position: UInt64 = 0
        while position < size {
            var data = size
            let found = lseek(number, off_t(clamping: position), CLINUX_SEEK_DATA)
            if found >= 0 {
                data = max(position, min(size, UInt64(found) / block * block))
            } else if errno != ENXIO {
                throw TreeSyncError.last("looking for data in", path)
            }
            if data > position { try body(FileExtent(position: position, length: data - position, isHole: true)) }
            guard data < size else { return }
            let hole = lseek(number, off_t(clamping: max(data, UInt64(clamping: found))), CLINUX_SEEK_HOLE)
            guard hole >= 0 else { throw TreeSyncError.last("looking for holes in", path) }
            let end = min(size, max(data + 1, UInt64(hole)) / block * block + (UInt64(hole) % block == 0 ? 0 : block))
            guard end > data else { throw TreeSyncError.contentGone(path: TreePaths.text(path)) }
            try body(FileExtent(position: data, length: end - data, isHole: false))
            position = end
        }
    }

    /// Gives the bytes of a part that is data to the body, in portions; throws where the file is shorter by now.
    func eachPortion(
        of extent: FileExtent, _ path: TreePath, atMost portion: Int = Rsync.bufferSize, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: portion, alignment: 16)
        defer { buffer.deallocate() }
        var done: UInt64 = 0
        while done < extent.length {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(min(UInt64(buffer.count), extent.length - done))))
            guard try readFully(at: extent.position + done, into: part) else {
                throw TreeSyncError.contentGone(path: TreePaths.text(path))
            }
            try body(UnsafeRawBufferPointer(part))
            done += UInt64(part.count)
        }
    }
}
