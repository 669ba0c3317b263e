/// A delta in its binary form on disk, in which single names are found without decoding all of it.
///
/// Reading it once gives a path for every 64th name; a look is then a binary search, reading the 64 names from there, and passing over
/// them. Memory is a few percent of the decoded manifest's; the bytes themselves are the page cache's. The file stays open.
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
        /// Behind the last one.
        var end = 0

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

    private let file: ManifestFile
    let puts: List
    let deletions: List
    /// Of the file.
    public var byteCount: Int { file.byteCount }
    /// How many entries the delta puts.
    public var putCount: Int { puts.count }
    /// How many paths it deletes.
    public var deletionCount: Int { deletions.count }
    /// The bytes of all files that it puts, each hard link counted.
    public let contentBytes: Int64
    /// The files that it puts whose digests are by blocks; the first ``largeFileLimit`` of them.
    public let largeFiles: [TreeEntry]

    /// Opens a file of ours, which was checked when it was made, and sees that it is whole. Linear in its length; later looks are not.
    public convenience init(file path: String) throws { try self.init(file: path, check: nil) }

    /// Opens what came from a peer: all of a generation. Throws ``TreeSyncError/badManifest(_:)`` where it is no tree.
    convenience init(unchecked path: String) throws {
        try self.init(file: path, check: TreeCheck())
        guard deletionCount == 0 else { throw TreeSyncError.badManifest("deletions of nothing") }
    }

    private init(file path: String, check: TreeCheck?) throws {
        file = try ManifestFile(path, magic: ManifestFormat.deltaMagic)
        let found = try Self.scan(file, check)
        (puts, deletions) = (found.puts, found.deletions)
        (contentBytes, largeFiles) = (found.contentBytes, found.largeFiles)
    }

    private struct Scan {
        var puts = List()
        var deletions = List()
        var contentBytes: Int64 = 0
        var largeFiles: [TreeEntry] = []

        mutating func count(_ entry: TreeEntry) {
            guard let file = entry.file else { return }
            contentBytes &+= Int64(clamping: file.size)
            if ContentDigest.isByBlocks(size: file.size), largeFiles.count < ManifestTable.largeFileLimit { largeFiles.append(entry) }
        }
    }

    private static func scan(_ file: ManifestFile, _ check: TreeCheck?) throws -> Scan {
        let scan = try ManifestScan(file)
        var check = check
        var found = Scan()
        var path: TreePath = []
        found.puts.count = try scan.count(of: ManifestFormat.entryMinimum)
        for index in 0..<found.puts.count {
            let start = scan.place
            let (entry, body) = try scan.next { decoder in
                let next = try decoder.path(after: path)
                let body = start + decoder.position
                return (try decoder.entry(next), body)
            }
            path = entry.path
            if index % stride == 0 { found.puts.restarts.append(Restart(path: path, offset: body)) }
            try check?.put(entry, at: body) { try file.entry(at: $0) }
            found.count(entry)
        }
        found.puts.end = scan.place
        path = []
        found.deletions.count = try scan.count(of: ManifestFormat.pathMinimum)
        for index in 0..<found.deletions.count {
            path = try scan.next { try $0.path(after: path) }
            if index % stride == 0 { found.deletions.restarts.append(Restart(path: path, offset: scan.place)) }
        }
        found.deletions.end = scan.place
        try scan.finish()
        return found
    }

    /// The content of the file whose body is at an offset.
    func content(at offset: Int) throws -> FileContent? { try file.entry(at: offset).file }

    /// The puts between two restarts, and the offsets of their bodies.
    func block(_ number: Int) throws -> (entries: [TreeEntry], bodies: [Int]) {
        let bytes = try bytes(ofBlock: number, in: puts)
        let count = min(Self.stride, puts.count - number * Self.stride)
        var entries: [TreeEntry] = []
        var bodies: [Int] = []
        entries.reserveCapacity(count)
        bodies.reserveCapacity(count)
        var path = puts.restarts[number].path
        try bytes.decode { decoder in
            for index in 0..<count {
                if index > 0 { path = try decoder.path(after: path) }
                bodies.append(bytes.place + decoder.position)
                entries.append(try decoder.entry(path))
            }
        }
        return (entries, bodies)
    }

    /// Everything from the body of a block's first name to that of the next block's.
    func bytes(ofBlock number: Int, in list: List) throws -> ManifestBytes {
        let next = number + 1 < list.restarts.count ? list.restarts[number + 1].offset : list.end
        return try file.read(list.restarts[number].offset..<next)
    }

    /// Bytes that are read at once.
    private static let portion = 1 << 20

    /// Lends all puts, their count before them, in their binary form: portion by portion.
    func eachPortionOfPuts(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        for start in Swift.stride(from: 0, to: puts.end, by: Self.portion) {
            let bytes = try file.read(start..<min(start + Self.portion, puts.end))
            try withExtendedLifetime(bytes) { try body(bytes.bytes) }
        }
    }
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
