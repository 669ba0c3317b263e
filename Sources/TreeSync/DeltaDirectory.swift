import Glibc

/// Work on directories that hold a delta in overlayfs' upper form.
public enum DeltaDirectory {
    /// Makes one delta directory of several that stand upon each other, by hard links: no content is copied.
    ///
    /// - Parameters:
    ///   - layers: the lowest first.
    ///   - tables: theirs.
    ///   - delta: what all of them together are.
    ///   - base: the generation that they stand upon; empty for none.
    ///   - target: is there and empty, on the same file system.
    public static func merge(
        _ layers: [String], _ tables: [ManifestTable], delta: DeltaManifest, upon base: any GenerationLookup, into target: String
    ) throws {
        let files = GenerationReader(try GenerationFiles(layers: layers), tables)
        let writer = try TreeWriter(directory: target)
        for entry in delta.puts { try link(entry, files, writer) }
        for path in try whiteouts(of: delta, upon: base) { try writer.whiteout(path) }
        try writer.finish()
    }

    /// Makes one directory of a whole generation in the same way. Returns its sums.
    public static func merge(_ layers: [String], _ tables: [ManifestTable], into target: String) throws -> VolumeTotals {
        let files = GenerationReader(try GenerationFiles(layers: layers), tables)
        let writer = try TreeWriter(directory: target)
        let cursor = try GenerationCursor(tables)
        var totals = VolumeTotals()
        while try cursor.advance() {
            let entry = try cursor.entry()
            totals.count(entry, 1)
            try link(entry, files, writer)
        }
        try writer.finish()
        return totals
    }

    private static func link(_ entry: TreeEntry, _ files: GenerationReader, _ writer: TreeWriter) throws {
        guard entry.file != nil else { return try writer.make(entry) }
        guard let (file, _) = try files.open(entry.path) else { throw TreeSyncError.contentGone(path: TreePaths.text(entry.path)) }
        do {
            try writer.link(entry, to: file)
        } catch TreeSyncError.system(_, _, EMLINK) {
            try writer.copy(entry, from: file)
        }
    }

    /// Makes a directory that holds `old` hold `new`, which was rebased from it: whiteouts and directories come and go, contents stay.
    ///
    /// - Parameter base: the generation that `new` stands upon.
    public static func rebase(_ directory: String, from old: DeltaManifest, to new: DeltaManifest, upon base: any GenerationLookup) throws {
        let writer = try TreeWriter(directory: directory)
        let before = Set(old.puts.lazy.map(\.path))
        try eachDeletion(of: old) { try writer.remove($0) }
        for entry in new.puts {
            if before.contains(entry.path) {
                if entry.isDirectory { writer.touch(entry) }
            } else {
                try writer.make(entry)
            }
        }
        for path in try whiteouts(of: new, upon: base) { try writer.whiteout(path) }
        try writer.finish()
    }

    /// The deletions that need a whiteout: what `base` has, in a directory that stays.
    ///
    /// Several deltas made one may delete what is not below them. overlayfs hides whiteouts only in directories that it merges: in one that
    /// is new they would be listed, and nobody could open them.
    static func whiteouts(of delta: DeltaManifest, upon base: any GenerationLookup) throws -> [TreePath] {
        var whiteouts: [TreePath] = []
        try eachDeletion(of: delta) { path in
            if try base.entry(path) != nil { whiteouts.append(path) }
        }
        return whiteouts
    }

    /// The deletions in directories of the delta: below another one or below a file there is nothing to hide.
    private static func eachDeletion(of delta: DeltaManifest, _ body: (TreePath) throws -> Void) rethrows {
        guard !delta.deletions.isEmpty else { return }
        let directories = Set(delta.puts.lazy.filter(\.isDirectory).map(\.path))
        for path in delta.deletions {
            if let parent = TreePaths.parent(of: path), directories.contains(parent) { try body(path) }
        }
    }
}

extension DeltaDirectory {
    /// Gives a directory itself the metadata of a root entry.
    public static func setRoot(of directory: String, _ root: TreeEntry) throws {
        let writer = try TreeWriter(directory: directory)
        writer.touch(root)
        try writer.finish()
    }
}
