import Digests
import Glibc

/// A delta in its binary form on disk, in which single names are found without decoding all of it.
///
/// Reading it once gives a path for every 64th name; a look is then a binary search and the decoding of 64 names at the most. Memory
/// is a few percent of the decoded manifest's; the bytes themselves are the page cache's.
public final class ManifestTable: Sendable {
    /// Names between two that are kept in memory.
    private static let stride = 64

    /// A place to begin decoding: the body of the entry of this path begins at the offset; for a deleted path, the next one does.
    fileprivate struct Restart: Sendable {
        var path: TreePath
        var offset: Int
    }

    // Made in init, unmapped in deinit; nobody writes to it: the file is never changed, only removed, which leaves the mapping whole.
    private nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    private let puts: [Restart]
    private let deletions: [Restart]
    /// How many entries the delta puts.
    public let putCount: Int
    /// How many paths it deletes.
    public let deletionCount: Int

    /// Maps and checks a file. Linear in its length; later looks are not.
    public init(file path: String) throws {
        let file = try Descriptor.open(path, O_RDONLY)
        let size = Int(try file.status([]).st_size)
        guard size > 0, size <= VolumeManifest.encodedLimit else { throw TreeSyncError.badManifest("a file of \(size) bytes") }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, file.number, 0), start != MAP_FAILED else {
            throw TreeSyncError.last("mapping", Array(path.utf8))
        }
        let mapped = UnsafeRawBufferPointer(start: start, count: size)
        do {
            (puts, deletions, putCount, deletionCount) = try Self.scan(mapped)
        } catch {
            munmap(start, size)
            throw error
        }
        bytes = mapped
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }

    private static func scan(_ bytes: UnsafeRawBufferPointer) throws -> ([Restart], [Restart], Int, Int) {
        var decoder = try ByteDecoder(sealed: bytes, magic: ManifestFormat.deltaMagic)
        var puts: [Restart] = []
        var path: TreePath = []
        let putCount = try decoder.count(of: ManifestFormat.entryMinimum)
        for index in 0..<putCount {
            path = try decoder.path(after: path)
            if index % stride == 0 { puts.append(Restart(path: path, offset: decoder.position)) }
            _ = try decoder.entry(path)
        }
        var deletions: [Restart] = []
        path = []
        let deletionCount = try decoder.count(of: ManifestFormat.pathMinimum)
        for index in 0..<deletionCount {
            path = try decoder.path(after: path)
            if index % stride == 0 { deletions.append(Restart(path: path, offset: decoder.position)) }
        }
        try decoder.end()
        return (puts, deletions, putCount, deletionCount)
    }

    /// The number of the block in which a path is, if it is there: the last one that begins at it or before it.
    private static func block(of path: TreePath, _ restarts: [Restart]) -> Int? {
        var low = 0
        var high = restarts.count
        while low < high {
            let middle = (low + high) / 2
            if TreePaths.precedes(path, restarts[middle].path) { high = middle } else { low = middle + 1 }
        }
        return low == 0 ? nil : low - 1
    }

    private func decoder(at offset: Int) throws -> ByteDecoder {
        try ByteDecoder(sealedAndChecked: bytes, magic: ManifestFormat.deltaMagic, at: offset)
    }

    fileprivate func putBlock(of path: TreePath) -> Int? { Self.block(of: path, puts) }
    fileprivate func deletionBlock(of path: TreePath) -> Int? { Self.block(of: path, deletions) }
    fileprivate var putBlocks: Int { puts.count }
    fileprivate var deletionBlocks: Int { deletions.count }

    fileprivate func decodePuts(_ block: Int) throws -> [TreeEntry] {
        var decoder = try decoder(at: puts[block].offset)
        let count = min(Self.stride, putCount - block * Self.stride)
        var entries: [TreeEntry] = []
        entries.reserveCapacity(count)
        entries.append(try decoder.entry(puts[block].path))
        for _ in 1..<max(1, count) {
            let path = try decoder.path(after: entries[entries.count - 1].path)
            entries.append(try decoder.entry(path))
        }
        return entries
    }

    fileprivate func decodeDeletions(_ block: Int) throws -> [TreePath] {
        var decoder = try decoder(at: deletions[block].offset)
        let count = min(Self.stride, deletionCount - block * Self.stride)
        var paths = [deletions[block].path]
        paths.reserveCapacity(count)
        for _ in 1..<max(1, count) { paths.append(try decoder.path(after: paths[paths.count - 1])) }
        return paths
    }
}

/// One operation's looks into a table: the block that was decoded last is kept, as the next name is mostly in it.
private final class TableReader {
    let table: ManifestTable
    private var puts: (block: Int, entries: [TreeEntry])?
    private var deletions: (block: Int, paths: [TreePath])?

    init(_ table: ManifestTable) { self.table = table }

    private func entries(_ block: Int) throws -> [TreeEntry] {
        if let puts, puts.block == block { return puts.entries }
        let entries = try table.decodePuts(block)
        puts = (block, entries)
        return entries
    }

    private func paths(_ block: Int) throws -> [TreePath] {
        if let deletions, deletions.block == block { return deletions.paths }
        let paths = try table.decodeDeletions(block)
        deletions = (block, paths)
        return paths
    }

    /// The last put at the path or before it.
    func put(atOrBefore path: TreePath) throws -> TreeEntry? {
        guard let block = table.putBlock(of: path) else { return nil }
        let entries = try entries(block)
        return entries[lastIndex(of: path, entries.count) { entries[$0].path }]
    }

    /// The last deletion at the path or before it.
    func deletion(atOrBefore path: TreePath) throws -> TreePath? {
        guard let block = table.deletionBlock(of: path) else { return nil }
        let paths = try paths(block)
        return paths[lastIndex(of: path, paths.count) { paths[$0] }]
    }

    /// The first of them is not behind the path.
    private func lastIndex(of path: TreePath, _ count: Int, _ at: (Int) -> TreePath) -> Int {
        var low = 1
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if TreePaths.precedes(path, at(middle)) { high = middle } else { low = middle + 1 }
        }
        return low - 1
    }

    func puts(inside path: TreePath) throws -> [TreeEntry] {
        guard table.putBlocks > 0 else { return [] }
        var found: [TreeEntry] = []
        for block in (table.putBlock(of: path) ?? 0)..<table.putBlocks {
            for entry in try entries(block) {
                if TreePaths.isBelow(entry.path, path) {
                    found.append(entry)
                } else if TreePaths.precedes(path, entry.path) {
                    return found
                }
            }
        }
        return found
    }

    func deletions(inside path: TreePath) throws -> [TreePath] {
        guard table.deletionBlocks > 0 else { return [] }
        var found: [TreePath] = []
        for block in (table.deletionBlock(of: path) ?? 0)..<table.deletionBlocks {
            for deleted in try paths(block) {
                if TreePaths.isBelow(deleted, path) {
                    found.append(deleted)
                } else if TreePaths.precedes(path, deleted) {
                    return found
                }
            }
        }
        return found
    }

    /// Whether what is below this delta is hidden at the path, which it does not put.
    ///
    /// - Parameter before: the last put before the path: only that one can be a file where the path has a directory, since nothing is put
    ///   into a file.
    func hides(_ path: TreePath, before: TreeEntry?) throws -> Bool {
        if let before, !before.isDirectory, TreePaths.isBelow(path, before.path) { return true }
        guard let near = try deletion(atOrBefore: path) else { return false }
        if near == path || TreePaths.isBelow(path, near) { return true }
        var above = TreePaths.parent(of: path)
        while let directory = above, !directory.isEmpty {
            if TreePaths.isBelow(near, directory), try deletion(atOrBefore: directory) == directory { return true }
            above = TreePaths.parent(of: directory)
        }
        return false
    }
}

/// A generation as its layers' manifests give it. For one thread and one operation: it keeps what it decoded last.
public final class GenerationIndex: GenerationLookup {
    private let layers: [TableReader]

    /// - Parameter tables: of the layers, the lowest first.
    public init(_ tables: [ManifestTable]) { layers = tables.map(TableReader.init) }

    public func entry(_ path: TreePath) throws -> TreeEntry? {
        for layer in layers.reversed() {
            let put = try layer.put(atOrBefore: path)
            if let put, put.path == path { return put }
            if try layer.hides(path, before: put) { return nil }
        }
        return nil
    }

    public func inside(_ path: TreePath) throws -> [TreeEntry] {
        var found = VolumeManifest()
        for layer in layers {
            let put = try layer.put(atOrBefore: path)
            let isFile = put?.path == path && put?.isDirectory == false
            if try isFile || (put?.path != path && layer.hides(path, before: put)) { found = VolumeManifest() }
            let delta = DeltaManifest(unchecked: try layer.puts(inside: path), deletions: try layer.deletions(inside: path))
            found = found.applying(delta)
        }
        return found.entries
    }
}
