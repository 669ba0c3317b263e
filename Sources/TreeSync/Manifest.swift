import Digests

/// A whole generation of a volume: every name in it.
public struct VolumeManifest: Sendable, Equatable {
    /// In tree order; the first is the root directory; every other one's parent is there and a directory. Empty for generation 0.
    public internal(set) var entries: [TreeEntry]

    /// A volume without anything, not even a root.
    public init() { entries = [] }

    /// Takes entries in tree order; throws ``TreeSyncError/badManifest(_:)`` if they are no tree.
    public init(entries: [TreeEntry]) throws {
        var tree = TreeCheck()
        for (place, entry) in entries.enumerated() { try tree.put(entry, at: place) { entries[$0] } }
        self.entries = entries
    }

    init(unchecked entries: [TreeEntry]) { self.entries = entries }

    /// The bytes of all files, each hard link counted.
    public var contentBytes: Int64 {
        entries.reduce(0) { sum, entry in sum &+ Int64(clamping: entry.file?.size ?? 0) }
    }

    /// The entry of a path. Logarithmic.
    public subscript(path: TreePath) -> TreeEntry? {
        let index = position(of: path)
        return index < entries.count && entries[index].path == path ? entries[index] : nil
    }

    /// The index of the first entry that is not before the path.
    func position(of path: TreePath) -> Int { entries.partitionPoint { TreePaths.precedes($0.path, path) } }

    /// The indices of everything inside a directory.
    func inside(_ path: TreePath) -> Range<Int> {
        if path.isEmpty { return min(1, entries.count)..<entries.count }
        var start = position(of: path)
        if start < entries.count, entries[start].path == path { start += 1 }
        var end = start
        while end < entries.count, TreePaths.isBelow(entries[end].path, path) { end += 1 }
        return start..<end
    }
}

extension Array {
    /// The index of the first element that does not come before what is looked for; the array is in that order. Logarithmic.
    fileprivate func partitionPoint(_ precedes: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if precedes(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// What makes one generation of a volume another.
///
/// Every directory above what it names is among the puts, so that the delta can stand as a directory tree of its own. Deletions
/// are explicit, one for each name that is no more: a directory that is put is merged with the old one, never instead of it.
public struct DeltaManifest: Sendable, Equatable {
    /// In tree order; replaces or adds. Empty, or beginning with the root.
    public internal(set) var puts: [TreeEntry]
    /// In tree order; none of them among the puts.
    public internal(set) var deletions: [TreePath]

    public init() {
        puts = []
        deletions = []
    }

    /// Throws ``TreeSyncError/badManifest(_:)`` if the rules are not kept.
    public init(puts: [TreeEntry], deletions: [TreePath]) throws {
        self.puts = puts
        self.deletions = deletions
        try check()
    }

    init(unchecked puts: [TreeEntry], deletions: [TreePath]) {
        self.puts = puts
        self.deletions = deletions
    }

    /// The whole of a generation as a change of nothing.
    public init(whole manifest: VolumeManifest) {
        puts = manifest.entries
        deletions = []
    }

    /// The bytes of all files that it puts, each hard link counted.
    public var contentBytes: Int64 {
        puts.reduce(0) { sum, entry in sum &+ Int64(clamping: entry.file?.size ?? 0) }
    }

    /// Whether a file of the older generation at the path is not in the newer one as it was. Logarithmic.
    public func replaces(fileAt path: TreePath) -> Bool {
        let put = puts.partitionPoint { TreePaths.precedes($0.path, path) }
        if put < puts.count, puts[put].path == path { return true }
        let deletion = deletions.partitionPoint { TreePaths.precedes($0, path) }
        return deletion < deletions.count && deletions[deletion] == path
    }

    /// True when it changes nothing.
    public var isEmpty: Bool { puts.isEmpty && deletions.isEmpty }

    private func check() throws {
        var tree = TreeCheck()
        var next = 0
        for path in deletions {
            while next < puts.count, TreePaths.precedes(puts[next].path, path) {
                try tree.put(puts[next], at: next) { puts[$0] }
                next += 1
            }
            if next < puts.count, puts[next].path == path {
                throw TreeSyncError.badManifest("'\(TreePaths.text(path))' is both put and deleted")
            }
            try tree.delete(path)
        }
        for place in next..<puts.count { try tree.put(puts[place], at: place) { puts[$0] } }
    }
}

/// Checks, in tree order, that entries make a tree.
struct TreeCheck {
    private struct Ancestor {
        var path: TreePath
        var isDirectory: Bool
    }
    private var ancestors: [Ancestor] = []
    private var last: TreePath?
    /// Where the first file of each link group is.
    private var links: [UInt64: Int] = [:]

    /// - Parameters:
    ///   - place: where the caller finds the entry again.
    ///   - before: gives an entry that was put; its path may be missing.
    mutating func put(_ entry: TreeEntry, at place: Int, before: (_ place: Int) throws -> TreeEntry) throws {
        let parent = try step(to: entry.path)
        if let parent, !parent.isDirectory { throw TreeSyncError.badManifest("'\(TreePaths.text(entry.path))' is in no directory") }
        if parent == nil, !entry.isDirectory { throw TreeSyncError.badManifest("the root is no directory") }
        try checkAttributes(of: entry)
        ancestors.append(Ancestor(path: entry.path, isDirectory: entry.isDirectory))
        guard let group = entry.file?.linkGroup, group != 0 else { return }
        if let first = links[group] {
            guard try before(first).hasInode(like: entry) else {
                throw TreeSyncError.badManifest("'\(TreePaths.text(entry.path))' differs from its other hard links")
            }
        } else {
            links[group] = place
        }
    }

    mutating func delete(_ path: TreePath) throws {
        guard try step(to: path) != nil else { throw TreeSyncError.badManifest("the root is deleted") }
        ancestors.append(Ancestor(path: path, isDirectory: false))
    }

    /// Goes on to the next path, and returns what is above it: nil for the root.
    private mutating func step(to path: TreePath) throws -> Ancestor? {
        if let last, !TreePaths.precedes(last, path) {
            throw TreeSyncError.badManifest("'\(TreePaths.text(path))' is out of order or there twice")
        }
        if let fault = TreePaths.fault(in: path) { throw TreeSyncError.badManifest(fault) }
        last = path
        if path.isEmpty { return nil }
        while let top = ancestors.last, !TreePaths.isBelow(path, top.path) { ancestors.removeLast() }
        guard let top = ancestors.last else { throw TreeSyncError.badManifest("'\(TreePaths.text(path))' without a root") }
        let nameStart = top.path.isEmpty ? 0 : top.path.count + 1
        guard !path[nameStart...].contains(TreePaths.slash) else {
            throw TreeSyncError.badManifest("the directory of '\(TreePaths.text(path))' is missing")
        }
        return top
    }

    private func checkAttributes(of entry: TreeEntry) throws {
        func refuse(_ what: String) -> TreeSyncError { .badManifest("'\(TreePaths.text(entry.path))' has \(what)") }
        guard entry.mode <= 0o7777 else { throw refuse("a mode of \(entry.mode)") }
        guard entry.attributes.count <= TreeEntry.attributeCountLimit else { throw refuse("too many attributes") }
        for (index, attribute) in entry.attributes.enumerated() {
            guard TreeEntry.isKept(attribute: attribute.name), !attribute.name.contains(0) else {
                throw refuse("the attribute '\(String(decoding: attribute.name, as: UTF8.self))'")
            }
            guard attribute.name.count <= TreeEntry.attributeNameLimit, attribute.value.count <= TreeEntry.attributeValueLimit else {
                throw refuse("an attribute that is too large")
            }
            if index > 0, !entry.attributes[index - 1].name.lexicographicallyPrecedes(attribute.name) {
                throw refuse("attributes out of order")
            }
        }
        switch entry.content {
        case .symlink(let target):
            guard !target.isEmpty, target.count <= TreeEntry.targetLimit, !target.contains(0) else { throw refuse("a bad symlink target") }
        case .file(let file):
            guard file.size <= FileContent.sizeLimit else { throw refuse("a size of \(file.size)") }
        case .directory, .fifo: break
        }
    }
}

/// Numbers of hard links: the generation in which the inode got its names, and a count in it.
enum LinkGroups {
    /// Room for sixteen million hard-linked files in one generation.
    private static let bits: UInt64 = 24

    /// - Parameter count: from 1, in the generation that follows `parent`.
    static func number(_ count: UInt64, after parent: Int) -> UInt64 { (UInt64(parent) + 1) << bits | count }

    /// The generation that gave a number.
    static func generation(of number: UInt64) -> UInt64 { number >> bits }
}
