import BuildPlan
import Digests

/// What has changed in a part of a context's tree since an earlier state of it: files and links alone, since directories are there for them.
///
/// Directories that are equal in both are not looked into, so that the cost is in what changed and in the directories above it, as far as
/// both trees' times are equal too; where they are not, it is in the size of the part. Times alone are no change.
public struct TreeDifference: Sendable, Hashable {
    /// A file that was not there, or was another.
    public struct File: Sendable, Hashable {
        /// Relative to the part; empty where the part is a file itself.
        public var path: [UInt8]
        public var entry: TreeEntry
    }

    /// Files that are there now and were not, or were others. In the order of a walk.
    public private(set) var written: [File] = []
    /// Files that were there and are not any more, by their paths relative to the part.
    public private(set) var removed: [[UInt8]] = []

    /// - Parameters:
    ///   - part: of both trees; where it is not there it is empty.
    ///   - reader: has all directories of the part in both.
    ///   - old: the root of the earlier state; nil for one without anything.
    ///   - new: the root of the state now.
    public init(of part: TreeSelection, reader: any TreeReader, from old: Digest?, to new: Digest) throws {
        guard old != new else { return }
        let rules = try part.rules
        var comparison = TreeComparison(reader: reader, rules: rules)
        let before = try old.flatMap { try Self.entry(part, $0, reader, rules) }
        try comparison.compare(before, try Self.entry(part, new, reader, rules), at: [], depth: 0)
        written = comparison.written
        removed = comparison.removed
    }

    /// True for no change.
    public var isEmpty: Bool { written.isEmpty && removed.isEmpty }

    /// True where the part has a file of this path now.
    public static func hasFile(_ path: [UInt8], in part: TreeSelection, reader: any TreeReader, root: Digest) throws -> Bool {
        let rules = try part.rules
        guard var entry = try Self.entry(part, root, reader, rules) else { return false }
        guard path.isEmpty || rules.decision(path: path, isDirectory: false) == .include else { return false }
        for name in path.split(separator: UInt8(ascii: "/")) {
            guard case .directory(let digest) = entry.content, let next = try reader.object(digest)[Array(name)] else { return false }
            entry = next
        }
        return !entry.isDirectory
    }

    private static func entry(_ part: TreeSelection, _ root: Digest, _ reader: any TreeReader, _ rules: PathRules) throws -> TreeEntry? {
        let selector = TreeSelector(reader: reader, root: root)
        return selector.kept(try selector.select(part), rules: rules).first?.entry
    }
}

private struct TreeComparison {
    let reader: any TreeReader
    let rules: PathRules
    var written: [TreeDifference.File] = []
    var removed: [[UInt8]] = []

    init(reader: any TreeReader, rules: PathRules) {
        self.reader = reader
        self.rules = rules
    }

    mutating func compare(_ old: TreeEntry?, _ new: TreeEntry?, at path: [UInt8], depth: Int) throws {
        guard depth < TreeSelector.depthLimit else {
            throw FileTreeError.tooLarge(what: "the depth of the context", limit: TreeSelector.depthLimit)
        }
        switch (old?.content, new?.content) {
        case (.directory(let before), .directory(let now)):
            if before == now { return }
            try compareNames(reader.object(before), reader.object(now), at: path, depth: depth)
        case (.directory(let before), _):
            try compareNames(reader.object(before), TreeObject(entries: []), at: path, depth: depth)
            if let new { note(new, at: path) }
        case (_, .directory(let now)):
            if old != nil { noteRemoved(path) }
            try compareNames(TreeObject(entries: []), reader.object(now), at: path, depth: depth)
        case (let before?, let now?):
            // A link's mode means nothing.
            let isLink = if case .symlink = now { true } else { false }
            if before != now || (!isLink && old?.mode != new?.mode), let new { note(new, at: path) }
        case (_?, nil): noteRemoved(path)
        case (nil, _?): if let new { note(new, at: path) }
        case (nil, nil): break
        }
    }

    private mutating func note(_ entry: TreeEntry, at path: [UInt8]) { written.append(TreeDifference.File(path: path, entry: entry)) }

    private mutating func noteRemoved(_ path: [UInt8]) { removed.append(path) }

    // Both are sorted by the bytes of their names.
    private mutating func compareNames(_ old: TreeObject, _ new: TreeObject, at path: [UInt8], depth: Int) throws {
        var before = old.entries[...]
        var now = new.entries[...]
        while true {
            let first: (old: TreeEntry?, new: TreeEntry?)
            switch (before.first, now.first) {
            case (nil, nil): return
            case (let a?, let b?) where a.name == b.name: first = (before.popFirst(), now.popFirst())
            case (let a?, let b?) where a.name.lexicographicallyPrecedes(b.name): first = (before.popFirst(), nil)
            case (_, nil): first = (before.popFirst(), nil)
            default: first = (nil, now.popFirst())
            }
            let child = joined(path, (first.old ?? first.new)?.name ?? [])
            try compare(taken(first.old, at: child), taken(first.new, at: child), at: child, depth: depth + 1)
        }
    }

    private func taken(_ entry: TreeEntry?, at path: [UInt8]) -> TreeEntry? {
        guard let entry, !rules.isEmpty else { return entry }
        let decision = rules.decision(path: path, isDirectory: entry.isDirectory)
        // Directories themselves are nothing here: it is their files that are asked about one by one.
        return decision == .exclude ? nil : entry
    }
}
