import BuildPlan
import Digests

/// Something that a source of COPY or of a mount means in a context.
public struct SelectedEntry: Hashable, Sendable {
    /// Relative to the root, as it was matched; empty for the root itself.
    public var path: [UInt8]
    /// The path's last component: the name that COPY gives it in a directory. Empty for the root.
    public var name: [UInt8] { path.split(separator: UInt8(ascii: "/")).last.map { Array($0) } ?? [] }
    /// What is there; where the path ends at a symlink, what that points to.
    public var entry: TreeEntry

    public init(path: [UInt8], entry: TreeEntry) {
        self.path = path
        self.entry = entry
    }
}

/// Finds what a path or a pattern means in the Merkle tree of a context, and its content digest. One thread at a time.
///
/// Symbolic links are followed as if the tree were the root of a file system: absolute targets begin at its root and `..` stops there.
public final class TreeSelector {
    /// The most symbolic links in the resolution of one path.
    public static let symlinkLimit = 255
    /// The deepest directory: half of Linux' PATH_MAX. A hostile tree can be deeper, a stack can't.
    static let depthLimit = 2048

    /// Where the directories come from.
    public let reader: any TreeReader
    let memo: SelectionMemo
    let rootEntry: TreeEntry

    /// - Parameters:
    ///   - root: the digest of the root's ``TreeObject``.
    ///   - memo: digests that other selections computed.
    public init(reader: any TreeReader, root: Digest, memo: SelectionMemo = SelectionMemo()) {
        self.reader = reader
        self.memo = memo
        rootEntry = TreeEntry(name: [], mode: 0o755, modified: 0, content: .directory(root))
    }

    /// What a source means, in the order of the paths' components.
    ///
    /// Without wildcards it is exactly one, or ``FileTreeError/notFound(path:)``; a pattern may match nothing.
    public func select(_ path: String, wildcards: Bool) throws -> [SelectedEntry] {
        let source = try SourcePattern(path, wildcards: wildcards)
        let base = joined(source.directory)
        guard !source.patterns.isEmpty else {
            return [SelectedEntry(path: base, entry: try resolve(source.directory, text: path))]
        }
        let directory: TreeEntry
        do {
            directory = try resolve(source.directory, text: path)
        } catch FileTreeError.notFound, FileTreeError.notDirectory {
            return []
        }
        var found = [SelectedEntry(path: base, entry: directory)]
        for pattern in source.patterns {
            var next: [SelectedEntry] = []
            for candidate in found {
                guard case .directory(let digest) = candidate.entry.content else { continue }
                for entry in try reader.object(digest).entries where pattern.matches(entry.name) {
                    next.append(SelectedEntry(path: FileTree.joined(candidate.path, entry.name), entry: entry))
                }
            }
            found = next
        }
        return try found.map { match in
            guard case .symlink = match.entry.content else { return match }
            return SelectedEntry(path: match.path, entry: try resolve(components(of: match.path), text: FileTreeError.text(match.path)))
        }
    }

    /// What a part of the tree is: with a filter it may be nothing.
    public func select(_ part: TreeSelection) throws -> [SelectedEntry] {
        do {
            return try select(part.path, wildcards: part.wildcards)
        } catch FileTreeError.notFound where part.filter != nil {
            return []
        } catch FileTreeError.notDirectory where part.filter != nil {
            return []
        }
    }

    /// The entry of a path, links followed to the end.
    private func resolve(_ path: [[UInt8]], text: String) throws -> TreeEntry {
        var stack = [rootEntry]
        var pending = Array(path.reversed())
        var links = 0
        while let name = pending.popLast() {
            if name == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                if stack.count > 1 { stack.removeLast() }
                continue
            }
            guard case .directory(let digest) = stack[stack.count - 1].content else { throw FileTreeError.notDirectory(path: text) }
            guard let entry = try reader.object(digest)[name] else { throw FileTreeError.notFound(path: text) }
            guard case .symlink(let target) = entry.content else {
                stack.append(entry)
                continue
            }
            links += 1
            guard links <= Self.symlinkLimit else { throw FileTreeError.tooManySymlinks(path: text) }
            if target.first == UInt8(ascii: "/") { stack = [rootEntry] }
            pending.append(contentsOf: components(of: target).reversed())
        }
        return stack[stack.count - 1]
    }

    private func joined(_ path: [[UInt8]]) -> [UInt8] { Array(path.joined(separator: [UInt8(ascii: "/")])) }
}
