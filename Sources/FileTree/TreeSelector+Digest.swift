import BlockingIO
import BuildPlan
import Digests

extension TreeSelector {
    private static let version = "farm-selection-1"

    /// The content digest of a selection: everything that COPY or a mount could make of it, times excepted.
    ///
    /// Names, kinds, modes, targets of symlinks and contents enter it; the name of a selected directory does not, since only what is in
    /// it is copied. Takes time in proportion to the directories that the memo does not know.
    public func digest(of selection: [SelectedEntry], rules: PathRules = PathRules()) throws -> Digest {
        var encoder = [UInt8]()
        encoder.append(contentsOf: Self.version.utf8)
        let selection = kept(selection, rules: rules)
        encoder.append(UInt64(selection.count))
        for match in selection {
            guard case .directory(let digest) = match.entry.content else {
                append(match.entry, named: match.name, content: nil, to: &encoder)
                continue
            }
            let content = rules.isEmpty ? try memoised(digest, depth: 0) : try filtered(match, rules)
            append(match.entry, named: [], content: content, to: &encoder)
        }
        return Digest.of(encoder)
    }

    /// The content digest of a part of the tree, or ``FileTreeError/notFound(path:)`` when nothing is there; with a filter, that of nothing.
    public func digest(of part: TreeSelection) throws -> Digest {
        let matches = try select(part)
        guard !matches.isEmpty || part.filter != nil else { throw FileTreeError.notFound(path: part.path) }
        return try digest(of: matches, rules: part.rules)
    }

    /// A selection without the files that `--exclude` names themselves; in directories, patterns are relative to the directory.
    public func kept(_ selection: [SelectedEntry], rules: PathRules) -> [SelectedEntry] {
        guard !rules.isEmpty else { return selection }
        return selection.filter { $0.entry.isDirectory || rules.decision(path: $0.name, isDirectory: false) == .include }
    }

    private func memoised(_ directory: Digest, depth: Int) throws -> Digest {
        if let known = memo[directory] { return known }
        guard depth < Self.depthLimit else { throw FileTreeError.tooLarge(what: "the depth of the context", limit: Self.depthLimit) }
        var encoder = [UInt8]()
        for entry in try reader.object(directory).entries {
            var content: Digest?
            if case .directory(let child) = entry.content { content = try memoised(child, depth: depth + 1) }
            append(entry, named: entry.name, content: content, to: &encoder)
        }
        let digest = Digest.of(encoder)
        memo[directory] = digest
        return digest
    }

    private func filtered(_ match: SelectedEntry, _ rules: PathRules) throws -> Digest {
        var encoder = [UInt8]()
        try walk(match, rules: rules) { path, entry in
            if !path.isEmpty { append(entry, named: path, content: nil, to: &encoder) }
        }
        return Digest.of(encoder)
    }

    // docs/formats.md, "Content digest of a selection". `content` stands for what is in a directory.
    private func append(_ entry: TreeEntry, named name: [UInt8], content: Digest?, to encoder: inout [UInt8]) {
        let kind: FileStatus.Kind =
            switch entry.content {
            case .file: .file
            case .directory: .directory
            case .symlink: .symlink
            case .fifo: .fifo
            }
        encoder.append(kind.rawValue)
        encoder.append(UInt32(name.count))
        encoder.append(contentsOf: name)
        // Linux ignores the mode of a symlink, and other systems differ in what they say it is.
        encoder.append(kind == .symlink ? UInt16(0o777) : entry.mode)
        switch entry.content {
        case .file(let digest, _): encoder.append(digest)
        case .directory: if let content { encoder.append(content) }
        case .symlink(let target):
            encoder.append(UInt32(target.count))
            encoder.append(contentsOf: target)
        case .fifo: break
        }
    }
}

/// Content digests of directories that selections have computed. Bounded: when it is full it begins anew.
public final class SelectionMemo: Sendable {
    /// Directories; about 20 MB.
    public static let defaultLimit = 200_000

    private let known = Monitor<[Digest: Digest]>([:])
    private let limit: Int

    /// - Parameter limit: how many directories are remembered.
    public init(limit: Int = SelectionMemo.defaultLimit) { self.limit = max(1, limit) }

    subscript(directory: Digest) -> Digest? {
        get { known.withLock { $0[directory] } }
        set {
            known.withLock { known in
                if known.count >= limit { known = [:] }
                known[directory] = newValue
            }
        }
    }
}
