import BuildPlan
import Digests

/// What must be there so that a selection can be read.
public struct TreeClosure: Sendable, Hashable {
    /// Directory objects.
    public var objects: Set<Digest> = []
    /// Contents of files and their bytes.
    public var contents: [Digest: UInt64] = [:]

    public init() {}

    /// Adds what another selection needs.
    public mutating func formUnion(_ other: TreeClosure) {
        objects.formUnion(other.objects)
        contents.merge(other.contents) { first, _ in first }
    }

    /// Bytes of all contents.
    public var contentBytes: UInt64 { contents.values.reduce(0) { $0 &+ $1 } }
}

extension TreeSelector {
    /// Calls `body` with a match (under the empty path) and everything below it, each directory before what is in it, names in order.
    ///
    /// Paths are relative to the match. What `rules` leaves out is not given, nor is a directory that is there only for its excluded
    /// contents.
    public func walk(
        _ match: SelectedEntry, rules: PathRules = PathRules(), _ body: ([UInt8], TreeEntry) throws -> Void
    ) throws {
        try body([], match.entry)
        guard case .directory(let digest) = match.entry.content else { return }
        var waiting: [([UInt8], TreeEntry)] = []
        try walk(digest, at: [], depth: 0, rules, &waiting, body)
    }

    // `waiting`: excluded directories above, which are given only when something below them is.
    private func walk(
        _ directory: Digest, at path: [UInt8], depth: Int, _ rules: PathRules, _ waiting: inout [([UInt8], TreeEntry)],
        _ body: ([UInt8], TreeEntry) throws -> Void
    ) throws {
        guard depth < Self.depthLimit else { throw FileTreeError.tooLarge(what: "the depth of the context", limit: Self.depthLimit) }
        for entry in try reader.object(directory).entries {
            let child = joined(path, entry.name)
            let decision = rules.isEmpty ? .include : rules.decision(path: child, isDirectory: entry.isDirectory)
            if decision == .exclude { continue }
            let waitingBefore = waiting.count
            if decision == .excludeButDescend {
                waiting.append((child, entry))
            } else {
                for (path, entry) in waiting { try body(path, entry) }
                waiting.removeAll()
                try body(child, entry)
            }
            if case .directory(let digest) = entry.content {
                try walk(digest, at: child, depth: depth + 1, rules, &waiting, body)
            }
            if waiting.count > waitingBefore { waiting.removeLast(waiting.count - waitingBefore) }
        }
    }

    /// Everything that reading a part of the tree needs: the objects on the way to it, its directories, and its contents.
    public func closure(of part: TreeSelection) throws -> TreeClosure {
        let rules = try part.rules
        let recorder = RecordingReader(reader)
        guard case .directory(let root) = rootEntry.content else { return TreeClosure() }
        let selector = TreeSelector(reader: recorder, root: root)
        var closure = TreeClosure()
        for match in selector.kept(try selector.select(part), rules: rules) {
            try selector.walk(match, rules: rules) { _, entry in
                if case .file(let digest, let size) = entry.content { closure.contents[digest] = size }
            }
        }
        closure.objects = recorder.seen
        return closure
    }
}

private final class RecordingReader: TreeReader {
    private let reader: any TreeReader
    private(set) var seen: Set<Digest> = []

    init(_ reader: any TreeReader) { self.reader = reader }

    func object(_ digest: Digest) throws -> TreeObject {
        seen.insert(digest)
        return try reader.object(digest)
    }
}
