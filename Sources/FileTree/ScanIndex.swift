import BlockingIO
import Digests
import Glibc

/// What a scan remembers of the files it has hashed, so that a file that is unchanged costs one stat the next time.
///
/// A cache on the user's own disk: one that can't be read, or whose checksum is wrong, counts as empty. `docs/formats.md`, "Scan index".
struct ScanIndex: Sendable {
    /// A file that was hashed, as it was then.
    struct Entry: Sendable {
        var device: UInt64
        var inode: UInt64
        var size: Int64
        var modified: Int64
        var changed: Int64
        var digest: Digest

        init(_ status: FileStatus, _ digest: Digest) {
            device = status.device
            inode = status.inode
            size = status.size
            modified = status.modified
            changed = status.changed
            self.digest = digest
        }
    }

    private static let magic: [UInt8] = Array("FSI1".utf8)
    private static let headerSize = 8
    private static let entrySize = 5 * 8 + Digest.byteCount
    /// 14 million files.
    private static let sizeLimit = 1 << 30

    private let bytes: [UInt8]
    /// How many files are known.
    let count: Int

    /// Knows nothing.
    init() { self.init(bytes: [], count: 0) }

    private init(bytes: [UInt8], count: Int) {
        self.bytes = bytes
        self.count = count
    }

    /// Reads the file; nothing is known where there is none or it is damaged.
    init(path: [UInt8]) {
        guard let bytes = try? FileDescriptor(path).readAll(limit: Self.sizeLimit), let count = Self.count(of: bytes) else {
            self.init()
            return
        }
        self.init(bytes: bytes, count: count)
    }

    // nil for a file that is damaged.
    private static func count(of bytes: [UInt8]) -> Int? {
        let end = bytes.count - Digest.byteCount
        guard end >= headerSize, bytes.starts(with: magic), (end - headerSize) % entrySize == 0 else { return nil }
        return bytes.withUnsafeBytes { buffer in
            let count = Int(UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: magic.count, as: UInt32.self)))
            guard count == (end - headerSize) / entrySize else { return nil }
            let sum = Digest.of(UnsafeRawBufferPointer(rebasing: buffer[..<end]))
            return sum == Digest(bytes: buffer[end...]) ? count : nil
        }
    }

    /// The digest of a file's content if it is the one that was hashed.
    func digest(of status: FileStatus) -> Digest? {
        bytes.withUnsafeBytes { buffer in
            var low = 0
            var high = count
            while low < high {
                let middle = (low + high) / 2
                let (device, inode) = Self.key(buffer, middle)
                if (device, inode) < (status.device, status.inode) { low = middle + 1 } else { high = middle }
            }
            guard low < count, Self.key(buffer, low) == (status.device, status.inode) else { return nil }
            let offset = Self.headerSize + low * Self.entrySize
            func field(_ index: Int) -> Int64 {
                Int64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset + 8 * index, as: Int64.self))
            }
            guard field(2) == status.size, field(3) == status.modified, field(4) == status.changed else { return nil }
            return Digest(bytes: buffer[offset + 40..<offset + 40 + Digest.byteCount])
        }
    }

    private static func key(_ buffer: UnsafeRawBufferPointer, _ index: Int) -> (UInt64, UInt64) {
        let offset = headerSize + index * entrySize
        return (
            UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
        )
    }

    /// Writes an index aside and puts it in place. Not synchronized: after a power loss the checksum tells.
    static func write(_ entries: [Entry], to path: [UInt8]) throws {
        let sorted = entries.sorted { ($0.device, $0.inode) < ($1.device, $1.inode) }
        var bytes = [UInt8]()
        bytes.reserveCapacity(headerSize + sorted.count * entrySize + Digest.byteCount)
        bytes.append(contentsOf: magic)
        bytes.append(UInt32(0))
        var count: UInt32 = 0
        var last: (UInt64, UInt64)?
        // A file with two names in the tree stands there twice.
        for entry in sorted where last.map({ $0 != (entry.device, entry.inode) }) ?? true {
            last = (entry.device, entry.inode)
            count += 1
            bytes.append(entry.device)
            bytes.append(entry.inode)
            for field in [entry.size, entry.modified, entry.changed] { bytes.append(UInt64(bitPattern: field)) }
            bytes.append(entry.digest)
        }
        withUnsafeBytes(of: count.littleEndian) { bytes.replaceSubrange(magic.count..<headerSize, with: $0) }
        bytes.append(Digest.of(bytes))
        let aside = path + Array(".\(getpid())".utf8)
        do {
            try FileDescriptor(aside, flags: O_WRONLY | O_CREAT | O_TRUNC).write(bytes)
            guard withPath(aside, { from in withPath(path) { rename(from, $0) } }) == 0 else { throw FileTreeError.last("rename", aside) }
        } catch {
            _ = withPath(aside) { unlink($0) }
            throw error
        }
    }
}
