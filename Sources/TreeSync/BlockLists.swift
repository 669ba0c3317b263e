import Digests
import Glibc

/// The digests of the blocks of large files, kept on disk: a file for each content, named by its ``ContentDigest``, which holds the SHA-256
/// of each block, one after the other.
///
/// They are made when content is hashed anyway. With those of two versions it is known which blocks differ, and with those of the old
/// one a new version is verified by its new blocks alone. One that is missing costs time only.
public final class BlockLists: Sendable {
    private let directory: String
    private static let asidePrefix = "tmp-"

    /// - Parameter directory: is made when something is put into it.
    public init(directory: String) { self.directory = directory }

    private func path(_ digest: Digest) -> String { "\(directory)/\(digest.hex)" }

    /// The list of a content; nil where there is none, or not one of that size.
    func open(_ digest: Digest, size: UInt64) -> Descriptor? {
        guard let file = try? Descriptor.open(path(digest), O_RDONLY), let status = try? file.status([]),
            UInt64(status.st_size) == Self.length(forSize: size)
        else { return nil }
        return file
    }

    static func length(forSize size: UInt64) -> UInt64 {
        (size + UInt64(ContentDigest.blockSize) - 1) / UInt64(ContentDigest.blockSize) * UInt64(Digest.byteCount)
    }

    /// A list takes a 128th of its file; files above this have none.
    static let sizeLimit: UInt64 = 256 << 30
    /// Nor have sparse files that are so many times as large as what they take: there would be as much list as content.
    static let sparseness: UInt64 = 16

    /// Whether content of that size, with so many bytes that are no holes, has a list.
    static func isWorthwhile(size: UInt64, data: UInt64) -> Bool { size <= sizeLimit && size / sparseness <= data }

    /// A new list, for content of that size of which nobody knows the digest yet; nil where such content has none.
    func writer(size: UInt64) throws -> BlockListWriter? {
        guard size <= Self.sizeLimit else { return nil }
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw TreeSyncError.last("making directory", Array(directory.utf8)) }
        return try BlockListWriter(
            aside: "\(directory)/\(Self.asidePrefix)\(UInt64.random(in: .min ... .max))", name: { [self] in path($0) })
    }

    /// Removes the lists of all other contents that are older than so many seconds.
    public func keep(only digests: Set<Digest>, olderThan seconds: Int) throws {
        let kept = Set(digests.map(\.hex))
        guard let root = try? Descriptor.directory(directory) else { return }
        for name in try TreeReader.names(in: root, []) where !kept.contains(String(decoding: name, as: UTF8.self)) {
            let item = try TreeReader.item(name, in: root, name)
            guard item.status.st_mtim.tv_sec + seconds <= time(nil) else { continue }
            _ = name.withCPath { unlinkat(root.number, $0, 0) }
        }
    }

    /// What two contents have in common at the same place; nil where that is not known, or too little, or in too many pieces.
    func runs(old: FileContent, new: FileContent) throws -> [ContentRun]? {
        guard let before = open(old.digest, size: old.size), let after = open(new.digest, size: new.size) else { return nil }
        let portion = 2048 * Digest.byteCount
        var a = [UInt8](repeating: 0, count: portion)
        var b = [UInt8](repeating: 0, count: portion)
        var runs: [ContentRun] = []
        var position: UInt64 = 0
        var covered: UInt64 = 0
        let block = UInt64(ContentDigest.blockSize)
        while position < new.size {
            let got = min(try before.readFully(into: &a), try after.readFully(into: &b)) / Digest.byteCount
            if got == 0 { break }
            a.withUnsafeBytes { a in
                b.withUnsafeBytes { b in
                    guard let a = a.baseAddress, let b = b.baseAddress else { return }
                    for index in 0..<got {
                        let start = index * Digest.byteCount
                        if memcmp(a + start, b + start, Digest.byteCount) == 0 {
                            let length = min(block, new.size - position)
                            ContentRun.append(ContentRun(position: position, length: length, source: position), to: &runs)
                            covered += length
                        }
                        position += block
                    }
                }
            }
        }
        return runs.count <= GenerationChange.runLimit && covered >= new.size / 4 ? runs : nil
    }
}

/// Writes one list aside; it gets its name when the digest is known, and is gone if that never happens.
final class BlockListWriter {
    private let file: Descriptor
    private let aside: String
    private let name: (Digest) -> String
    private var isFinished = false

    init(aside: String, name: @escaping (Digest) -> String) throws {
        file = try Descriptor.open(aside, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        self.aside = aside
        self.name = name
    }

    deinit { if !isFinished { unlink(aside) } }

    func append(_ leaves: [UInt8]) throws {
        var rest = leaves[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file.number, $0.baseAddress, $0.count) }
            guard count > 0 else { throw TreeSyncError.last("writing", Array(aside.utf8)) }
            rest = rest.dropFirst(count)
        }
    }

    func finish(as digest: Digest) throws {
        guard rename(aside, name(digest)) == 0 else { throw TreeSyncError.last("renaming", Array(aside.utf8)) }
        isFinished = true
    }
}

extension Descriptor {
    /// Reads until the buffer is full or the file ends.
    func readFully(into buffer: inout [UInt8]) throws -> Int {
        try buffer.withUnsafeMutableBytes { try readFully(into: $0) }
    }

    func readFully(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = read(number, buffer.baseAddress.map { $0 + filled }, buffer.count - filled)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw TreeSyncError.last("reading", [])
            }
            filled += count
        }
        return filled
    }

    /// Reads so many bytes at a place; false where there are fewer.
    func readFully(at position: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
        var filled = 0
        while filled < buffer.count {
            let count = pread(number, buffer.baseAddress.map { $0 + filled }, buffer.count - filled, off_t(clamping: position) + filled)
            if count == 0 { return false }
            if count < 0 {
                if errno == EINTR { continue }
                throw TreeSyncError.last("reading", [])
            }
            filled += count
        }
        return true
    }
}
