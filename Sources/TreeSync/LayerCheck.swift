import Digests
import Glibc

/// Compares a layer's directory with its manifest: every name, its metadata, and every byte of its content.
public struct LayerCheck {
    /// Something that is not as the manifest says.
    public struct Fault: Sendable, Hashable {
        public var path: TreePath
        public var what: String

        /// - Parameter what: goes on after the path.
        public init(path: TreePath, what: String) {
            self.path = path
            self.what = what
        }
    }

    /// What was found, the first ``faultLimit``.
    public private(set) var faults: [Fault] = []
    /// All paths with faults, but for files that are right in what they contain.
    public private(set) var damaged: Set<TreePath> = []
    /// Whether there are files with other owners, modes, times or attributes, see ``LayerMetadata``.
    public private(set) var hasOtherMetadata = false
    /// How many names were compared.
    public private(set) var names: Int64 = 0
    /// How many bytes were read.
    public private(set) var bytes: Int64 = 0

    /// More of one layer is not told one by one.
    public static let faultLimit = 1000

    private let reader: TreeReader
    /// The directory that was opened last: most names that follow are in it.
    private var parent: (path: TreePath, directory: Descriptor)?

    /// - Parameter directory: the layer's, in overlayfs' upper form.
    public init(directory: String) throws { reader = try TreeReader(directory: directory) }

    /// Reads everything; what can't be read is a fault. Blocks, for as long as reading takes.
    ///
    /// - Parameters:
    ///   - table: the layer's manifest.
    ///   - base: the generation that the layer stands upon.
    ///   - proceed: called for each name; what it throws ends the check.
    public mutating func run(_ table: ManifestTable, upon base: any GenerationLookup, proceed: () throws -> Void = {}) throws {
        var puts = ManifestCursor(puts: table)
        var named = Named(table)
        while try puts.advance() {
            try proceed()
            let entry = try puts.entry()
            names += 1
            do {
                try check(entry)
                if entry.isDirectory { try checkNames(of: entry.path, &named) }
            } catch { note(entry.path, error) }
        }
        var deletions = ManifestCursor(deletions: table)
        while try deletions.advance() {
            try proceed()
            let path = deletions.path
            guard try named.isWhiteout(path), try base.entry(path) != nil else { continue }
            do {
                guard try item(path).isWhiteout else {
                    fault(path, "is there, but was deleted")
                    continue
                }
            } catch { note(path, error) }
        }
    }

    /// What a manifest says that there is.
    private struct Named {
        private var puts: ManifestCursor
        private var deletions: ManifestCursor

        init(_ table: ManifestTable) {
            puts = ManifestCursor(puts: table)
            deletions = ManifestCursor(deletions: table)
        }

        mutating func contains(_ path: TreePath) throws -> Bool {
            if try puts.seek(atOrBefore: path), puts.path == path { return true }
            return try deletions.seek(atOrBefore: path) && deletions.path == path
        }

        /// Whether a deleted path may be a whiteout: in a directory of the layer, see ``DeltaDirectory/whiteouts(of:upon:)``.
        mutating func isWhiteout(_ path: TreePath) throws -> Bool {
            guard let parent = TreePaths.parent(of: path), try puts.seek(atOrBefore: parent), puts.path == parent else { return false }
            return try puts.isDirectory()
        }
    }

    private mutating func fault(_ path: TreePath, _ what: String) {
        damaged.insert(path)
        tell(path, what)
    }

    private mutating func tell(_ path: TreePath, _ what: String) {
        if faults.count < Self.faultLimit { faults.append(Fault(path: path, what: what)) }
    }

    /// Something that is not in a file, but said of it.
    private mutating func metadataFault(_ entry: TreeEntry, _ what: String) {
        guard entry.file != nil else { return fault(entry.path, what) }
        hasOtherMetadata = true
        tell(entry.path, what)
    }

    private mutating func note(_ path: TreePath, _ error: any Error) {
        switch error {
        case TreeSyncError.system(_, _, ENOENT), TreeSyncError.system(_, _, ENOTDIR): fault(path, "is missing")
        case TreeSyncError.system(_, _, ELOOP): fault(path, "is a link")
        default: fault(path, "can't be read: \(error)")
        }
    }

    /// The directory of a path, and what lies under its name.
    private mutating func place(_ path: TreePath) throws -> Descriptor {
        let above = TreePaths.parent(of: path) ?? []
        if let parent, parent.path == above { return parent.directory }
        let directory = try reader.root.openBelow(above, O_RDONLY | O_DIRECTORY)
        parent = (above, directory)
        return directory
    }

    private mutating func item(_ path: TreePath) throws -> TreeReader.Item {
        let directory = try place(path)
        return try TreeReader.item(Array(TreePaths.name(of: path)), in: directory, path)
    }

    private mutating func check(_ entry: TreeEntry) throws {
        switch entry.content {
        case .directory:
            let directory = try reader.root.openBelow(entry.path, O_RDONLY | O_DIRECTORY)
            let status = try directory.status(entry.path)
            checkMetadata(entry, status)
            try checkAttributes(entry, of: directory)
        case .file(let content):
            let item = try item(entry.path)
            guard item.kind == S_IFREG else { return fault(entry.path, "is no file") }
            checkMetadata(entry, item.status)
            checkTime(entry, item)
            let file = try place(entry.path).openBelow(Array(TreePaths.name(of: entry.path)), O_RDONLY)
            try checkAttributes(entry, of: file)
            let (digest, size) = try TreeReader.digest(of: file, entry.path)
            bytes &+= Int64(clamping: size)
            if size != content.size {
                fault(entry.path, "has \(size) bytes instead of \(content.size)")
            } else if digest != content.digest {
                fault(entry.path, "has other contents")
            }
        case .symlink(let target):
            let item = try item(entry.path)
            guard item.kind == S_IFLNK else { return fault(entry.path, "is no symbolic link") }
            checkOwner(entry, item.status)
            checkTime(entry, item)
            if try TreeReader.target(Array(TreePaths.name(of: entry.path)), in: try place(entry.path), entry.path) != target {
                fault(entry.path, "points elsewhere")
            }
        case .fifo:
            let item = try item(entry.path)
            guard item.kind == S_IFIFO else { return fault(entry.path, "is no pipe") }
            checkMetadata(entry, item.status)
            checkTime(entry, item)
        }
    }

    private mutating func checkMetadata(_ entry: TreeEntry, _ status: stat) {
        let mode = UInt16(status.st_mode & 0o7777)
        if mode != entry.mode {
            metadataFault(entry, "has mode \(String(mode, radix: 8)) instead of \(String(entry.mode, radix: 8))")
        }
        checkOwner(entry, status)
    }

    private mutating func checkOwner(_ entry: TreeEntry, _ status: stat) {
        if status.st_uid != entry.uid || status.st_gid != entry.gid {
            metadataFault(entry, "belongs to \(status.st_uid):\(status.st_gid) instead of \(entry.uid):\(entry.gid)")
        }
    }

    // A directory's time changes with what is in it, and means nothing.
    private mutating func checkTime(_ entry: TreeEntry, _ item: TreeReader.Item) {
        if item.modified != entry.modified { metadataFault(entry, "has another time") }
    }

    private mutating func checkAttributes(_ entry: TreeEntry, of file: Descriptor) throws {
        let names = try TreeReader.attributeNames(of: file, entry.path)
        if try TreeReader.attributes(of: file, names: names, entry.path) != entry.attributes {
            metadataFault(entry, "has other attributes")
        }
    }

    private mutating func checkNames(of path: TreePath, _ named: inout Named) throws {
        let directory = try reader.root.openBelow(path, O_RDONLY | O_DIRECTORY)
        for name in try TreeReader.names(in: directory, path) {
            let path = TreePaths.join(path, name)
            if try named.contains(path) { continue }
            fault(path, "is not of this volume")
        }
    }
}
