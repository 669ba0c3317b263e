import Digests
import FarmAPI
import TreeSync

/// What a volume's directory says about itself, in the file `state`; see `docs/formats-volumes.md`.
struct VolumeState: Codable, Sendable, Equatable {
    /// A directory in overlayfs' upper form, immutable.
    struct Layer: Codable, Sendable, Equatable {
        /// Of the directory; its manifest is beside it, `<name>.manifest`.
        var name: String
        /// The generation that it stands upon; 0 for the lowest.
        var from: Int
        /// The generation that the stack up to here is.
        var to: Int
        /// How many entries its manifest has.
        var entries: Int
        /// Whether its bytes have been written through to the disk.
        var isDurable: Bool
        /// Of the files that it puts, each hard link counted; nil in a state of an older version, which counts as none.
        var bytes: Int64?
    }

    /// A delta that can be handed to others, though its directory may have been merged with others.
    struct JournalEntry: Codable, Sendable, Equatable {
        var from: Int
        var to: Int
        /// The file of the delta manifest.
        var file: String
        /// The file's length; nil in a state of an older version, which counts as none.
        var bytes: Int64?
    }

    /// 2: digests of large files by their blocks, journals with what files were made of. A volume of another version starts anew.
    static let currentVersion = 2

    /// A file whose content has a digest by blocks.
    struct LargeFile: Codable, Sendable, Equatable {
        /// The bytes of the path in hexadecimal digits: they may be in any encoding.
        var path: String
        var size: UInt64
        var digest: Digest
        /// It has no use for a spare: its next version is written as a whole. Nil for no.
        var isSparse: Bool?
        /// The number of its link group; nil for none.
        var link: UInt64?
    }

    /// As many are remembered; for further ones there is neither a list of blocks nor a spare, which costs time only.
    static let largeFileLimit = 1000

    var version = VolumeState.currentVersion
    var key: VolumeKey
    /// Of the kernel that wrote this: what is not durable is lost when another one has started since.
    var boot: String
    /// For the names of new directories.
    var counter = 0
    /// The lowest first; each one's `from` is the `to` of the one before.
    var layers: [Layer] = []
    /// The oldest first.
    var journal: [JournalEntry] = []
    /// Of the newest generation.
    var large: [LargeFile] = []
    var bytes: Int64 = 0
    var files: Int64 = 0

    init(key: VolumeKey, boot: String) {
        self.key = key
        self.boot = boot
    }

    var generation: Int { layers.last?.to ?? 0 }

    /// Follows a delta with the list of large files.
    mutating func noteLargeFiles(of delta: DeltaManifest) {
        large.removeAll { delta.replaces(fileAt: Self.bytes($0.path)) }
        for entry in delta.puts { noteLargeFile(entry) }
    }

    /// Adds a file, where its content has a digest by blocks.
    mutating func noteLargeFile(_ entry: TreeEntry) {
        guard let file = entry.file, ContentDigest.isByBlocks(size: file.size), large.count < Self.largeFileLimit else { return }
        large.append(
            LargeFile(
                path: Self.hex(entry.path), size: file.size, digest: file.digest, isSparse: file.isSparse ? true : nil,
                link: file.linkGroup == 0 ? nil : file.linkGroup))
    }

    /// Of the large sparse files, each inode once: as far as they are remembered.
    var sparseBytes: UInt64 {
        var links: Set<UInt64> = []
        return large.filter { $0.isSparse == true && $0.link.map { links.insert($0).inserted } ?? true }.reduce(0) { $0 &+ $1.size }
    }

    /// The large files as ``SpareFiles`` wants them.
    var wantedSpares: [SpareFiles.Wanted] {
        large.filter { $0.isSparse != true }.map { SpareFiles.Wanted(path: Self.bytes($0.path), size: $0.size, digest: $0.digest) }
    }

    private static func hex(_ path: TreePath) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: path.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func bytes(_ hex: String) -> TreePath {
        let digits = hex.utf8.compactMap { UInt8(hexadecimal: $0) }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// Bytes of older versions that lie below the newest generation. Only what is in layers that say how much they are.
    var hiddenBytes: Int64 { layers.reduce(0 &- bytes) { $0 &+ ($1.bytes ?? 0) } }

    /// Forgets the oldest of the journal, until it has no more entries and bytes than that; returns the files that nobody needs any more. The
    /// newest stays.
    mutating func shortenJournal(to count: Int, bytes limit: Int64) -> [String] {
        var bytes = journal.reduce(Int64(0)) { $0 &+ ($1.bytes ?? 0) }
        var forgotten: [String] = []
        while journal.count > count || (bytes > limit && journal.count > 1) {
            let oldest = journal.removeFirst()
            bytes -= oldest.bytes ?? 0
            forgotten.append(oldest.file)
        }
        return forgotten
    }

    /// The part of the journal that leads from a generation to the newest; nil if it does not reach back that far.
    func journal(since generation: Int) -> ArraySlice<JournalEntry>? {
        guard let first = journal.firstIndex(where: { $0.from == generation }) else { return nil }
        var reached = generation
        for entry in journal[first...] {
            guard entry.from == reached else { return nil }
            reached = entry.to
        }
        return reached == self.generation ? journal[first...] : nil
    }
}

extension UInt8 {
    /// The value of a digit of lower case.
    fileprivate init?(hexadecimal digit: UInt8) {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self = digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self = digit - UInt8(ascii: "a") + 10
        default: return nil
        }
    }
}
