import Digests
import Glibc

/// A delta in its binary form on disk, in which single names are found without decoding all of it.
///
/// Reading it once gives a path for every 64th name; a look is then a binary search and passing over 64 names at the most. Memory
/// is a few percent of the decoded manifest's; the bytes themselves are the page cache's.
public final class ManifestTable: Sendable {
    /// Names between two that are kept in memory.
    static let stride = 64
    /// Large files that are told by name.
    public static let largeFileLimit = 1000

    /// A place to begin decoding: the body of the entry of this path begins at the offset; for a deleted path, the next one does.
    struct Restart: Sendable {
        var path: TreePath
        var offset: Int
    }

    /// The puts or the deletions.
    struct List: Sendable {
        var restarts: [Restart] = []
        var count = 0

        /// The number of the block in which a path is, if it is there: the last one that begins at it or before it.
        func block(of path: TreePath) -> Int? {
            var low = 0
            var high = restarts.count
            while low < high {
                let middle = (low + high) / 2
                if TreePaths.precedes(path, restarts[middle].path) { high = middle } else { low = middle + 1 }
            }
            return low == 0 ? nil : low - 1
        }
    }

    // Made in init, unmapped in deinit; nobody writes to it: the file is never changed, only removed, which leaves the mapping whole.
    private nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    let puts: List
    let deletions: List
    /// Where the puts, which begin with their count, end.
    private let putsEnd: Int
    /// How many entries the delta puts.
    public var putCount: Int { puts.count }
    /// How many paths it deletes.
    public var deletionCount: Int { deletions.count }
    /// The bytes of all files that it puts, each hard link counted.
    public let contentBytes: Int64
    /// The files that it puts whose digests are by blocks; the first ``largeFileLimit`` of them.
    public let largeFiles: [TreeEntry]

    /// Maps a file of ours, which was checked when it was made, and sees that it is whole. Linear in its length; later looks are not.
    public convenience init(file path: String) throws { try self.init(file: path, check: nil) }

    /// Maps what came from a peer: all of a generation. Throws ``TreeSyncError/badManifest(_:)`` where it is no tree.
    convenience init(unchecked path: String) throws {
        try self.init(file: path, check: TreeCheck())
        guard deletionCount == 0 else { throw TreeSyncError.badManifest("deletions of nothing") }
    }

    private init(file path: String, check: TreeCheck?) throws {
        let file = try Descriptor.open(path, O_RDONLY)
        let size = Int(try file.status([]).st_size)
        guard size > 0, size <= VolumeManifest.encodedLimit else { throw TreeSyncError.badManifest("a file of \(size) bytes") }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, file.number, 0), start != MAP_FAILED else {
            throw TreeSyncError.last("mapping", Array(path.utf8))
        }
        let mapped = UnsafeRawBufferPointer(start: start, count: size)
        do {
            let found = try Self.scan(mapped, check)
            (puts, deletions, putsEnd) = (found.puts, found.deletions, found.putsEnd)
            (contentBytes, largeFiles) = (found.contentBytes, found.largeFiles)
        } catch {
            munmap(start, size)
            throw error
        }
        bytes = mapped
        giveBack()
    }

    /// Gives back the memory of what was read in one go; the page cache keeps it for who reads it again.
    func giveBack() { madvise(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count, MADV_DONTNEED) }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }

    private struct Scan {
        var puts = List()
        var putsEnd = 0
        var deletions = List()
        var contentBytes: Int64 = 0
        var largeFiles: [TreeEntry] = []

        mutating func count(_ entry: TreeEntry) {
            guard let file = entry.file else { return }
            contentBytes &+= Int64(clamping: file.size)
            if ContentDigest.isByBlocks(size: file.size), largeFiles.count < ManifestTable.largeFileLimit { largeFiles.append(entry) }
        }
    }

    private static func scan(_ bytes: UnsafeRawBufferPointer, _ check: TreeCheck?) throws -> Scan {
        var decoder = try ByteDecoder(sealed: bytes, magic: ManifestFormat.deltaMagic)
        var check = check
        var found = Scan()
        var path: TreePath = []
        found.puts.count = try decoder.count(of: ManifestFormat.entryMinimum)
        for index in 0..<found.puts.count {
            path = try decoder.path(after: path)
            let body = decoder.position
            if index % stride == 0 { found.puts.restarts.append(Restart(path: path, offset: body)) }
            let entry = try decoder.entry(path)
            try check?.put(entry, at: body) { try Self.body(at: $0, of: bytes) }
            found.count(entry)
        }
        found.putsEnd = decoder.position
        path = []
        found.deletions.count = try decoder.count(of: ManifestFormat.pathMinimum)
        for index in 0..<found.deletions.count {
            path = try decoder.path(after: path)
            if index % stride == 0 { found.deletions.restarts.append(Restart(path: path, offset: decoder.position)) }
        }
        try decoder.end()
        return found
    }

    /// An entry without its path, by the offset of what is behind that.
    private static func body(at offset: Int, of bytes: UnsafeRawBufferPointer) throws -> TreeEntry {
        var decoder = try ByteDecoder(sealedAndChecked: bytes, magic: ManifestFormat.deltaMagic, at: offset)
        return try decoder.entry([])
    }

    /// The content of the file whose body is at an offset.
    func content(at offset: Int) throws -> FileContent? { try Self.body(at: offset, of: bytes).file }

    /// The puts between two restarts, and the offsets of their bodies.
    func block(_ number: Int) throws -> (entries: [TreeEntry], bodies: [Int]) {
        let restart = puts.restarts[number]
        var decoder = try decoder(at: restart.offset)
        let count = min(Self.stride, puts.count - number * Self.stride)
        var entries: [TreeEntry] = []
        var bodies: [Int] = []
        entries.reserveCapacity(count)
        bodies.reserveCapacity(count)
        var path = restart.path
        for index in 0..<count {
            if index > 0 { path = try decoder.path(after: path) }
            bodies.append(decoder.position)
            entries.append(try decoder.entry(path))
        }
        return (entries, bodies)
    }

    /// Decodes from an offset that a decoder of all of it had. The table has to outlive it.
    func decoder(at offset: Int) throws -> ByteDecoder {
        try ByteDecoder(sealedAndChecked: bytes, magic: ManifestFormat.deltaMagic, at: offset)
    }

    /// Lends the bytes between two such offsets.
    func withBytes<R>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        let start = ManifestFormat.deltaMagic.count
        return try body(UnsafeRawBufferPointer(rebasing: bytes[start + range.lowerBound..<start + range.upperBound]))
    }

    /// Where the puts are, their count before them.
    var putsBytes: Range<Int> { 0..<putsEnd }
}

/// One operation's looks into a table, quickest in tree order.
private final class TableReader {
    let table: ManifestTable
    private var puts: ManifestCursor
    private var deletions: ManifestCursor
    private var directories: ManifestCursor
    /// Of the directories above the last path: whether they are deleted. Looks come in tree order, so that these are mostly asked again.
    private var above: [(path: TreePath, isDeleted: Bool)] = []

    init(_ table: ManifestTable) {
        self.table = table
        puts = ManifestCursor(puts: table)
        deletions = ManifestCursor(deletions: table)
        directories = ManifestCursor(deletions: table)
    }

    enum Finding {
        case entry(TreeEntry)
        /// Whatever is below this delta is hidden.
        case hidden
        /// The delta says nothing of it.
        case open
    }

    func find(_ path: TreePath) throws -> Finding {
        let isBehind = try puts.seek(atOrBefore: path)
        if isBehind, puts.path == path { return .entry(try puts.entry()) }
        // Only the last put before it can be a file where the path has a directory, since nothing is put into a file.
        if isBehind, TreePaths.isBelow(path, puts.path), try !puts.isDirectory() { return .hidden }
        guard try deletions.seek(atOrBefore: path) else { return .open }
        if deletions.path == path || TreePaths.isBelow(path, deletions.path) { return .hidden }
        return try isInDeleted(path, near: deletions.path) ? .hidden : .open
    }

    /// Whether one of the directories above a path is deleted, given the last deletion before it: only those that both are in can be.
    private func isInDeleted(_ path: TreePath, near: TreePath) throws -> Bool {
        var level = 0
        for index in path.indices {
            guard index < near.count, near[index] == path[index] else { break }
            guard path[index] == TreePaths.slash else { continue }
            if level < above.count, above[level].path.count == index, path.starts(with: above[level].path) {
                if above[level].isDeleted { return true }
            } else {
                let directory = Array(path[..<index])
                let isDeleted = try directories.seek(atOrBefore: directory) && directories.path == directory
                above.removeSubrange(min(level, above.count)...)
                above.append((directory, isDeleted))
                if isDeleted { return true }
            }
            level += 1
        }
        return false
    }
}

/// A generation as its layers' manifests give it. For one thread and one operation: it keeps where it looked last.
public final class GenerationIndex: GenerationLookup {
    private let layers: [TableReader]

    /// - Parameter tables: of the layers, the lowest first.
    public init(_ tables: [ManifestTable]) { layers = tables.map(TableReader.init) }

    public func entry(_ path: TreePath) throws -> TreeEntry? {
        for layer in layers.reversed() {
            switch try layer.find(path) {
            case .entry(let entry): return entry
            case .hidden: return nil
            case .open: continue
            }
        }
        return nil
    }

    public func inside(_ path: TreePath) throws -> [TreeEntry] {
        let cursor = try cursor(inside: path)
        var found: [TreeEntry] = []
        while try cursor.advance(), TreePaths.isBelow(cursor.path, path) { found.append(try cursor.entry()) }
        return found
    }

    public func eachChild(of path: TreePath, _ body: (TreeEntry) throws -> Void) throws {
        let cursor = try cursor(inside: path)
        while try cursor.advance(), TreePaths.isBelow(cursor.path, path) {
            let entry = try cursor.entry()
            try body(entry)
            if entry.isDirectory { try cursor.skipInside() }
        }
    }

    /// Before the first name behind a path, over the layers of which something is to be seen inside it.
    private func cursor(inside path: TreePath) throws -> GenerationCursor {
        var lowest = 0
        for (number, layer) in layers.enumerated() {
            switch try layer.find(path) {
            case .entry(let entry) where entry.isDirectory: break
            case .open: break
            case .entry, .hidden: lowest = number + 1
            }
        }
        return try GenerationCursor(layers[lowest...].map(\.table), behind: path)
    }

    /// The number of the layer that has the path, from 0 for the lowest; nil where the path is not there.
    func layer(of path: TreePath) throws -> Int? {
        for number in layers.indices.reversed() {
            switch try layers[number].find(path) {
            case .entry: return number
            case .hidden: return nil
            case .open: continue
            }
        }
        return nil
    }
}
