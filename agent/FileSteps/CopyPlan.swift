import Digests
import FileTree

/// What a file of the target shall be besides its content.
struct Metadata: Hashable, Sendable {
    var owner: Owner
    var mode: UInt16
    /// In nanoseconds since the epoch; nil for the time when it is made.
    var modified: Int64?
    var attributes: [ExtendedAttributes.Attribute] = []
}

/// Something that is no directory, to be made in the target.
struct PlannedFile: Sendable {
    enum Content: Sendable {
        /// A file of the context.
        case content(Digest, size: UInt64)
        case bytes([UInt8])
        /// A file of the source's root, in its paths; those of the same identity become links of one file.
        case source([UInt8], identity: FileIdentity?)
        case symlink(target: [UInt8])
        case fifo
        case device(FileStatus.Kind, UInt64)
        /// Hides what is below, in a layer.
        case whiteout
    }

    /// Relative to the root, without links.
    var path: [UInt8]
    var content: Content
    var metadata: Metadata
}

/// Which file it is, whatever its name.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
}

/// A directory of the target that is made, or has something put into it.
struct PlannedDirectory: Sendable {
    var path: [UInt8]
    /// nil for one that is there and stays as it is.
    var metadata: Metadata?
    /// What was there before.
    var existing: FileStatus?
    /// True if it gets a name that it did not have.
    var gainsEntries = false
    /// True if nothing of what was in it stays, in a layer.
    var isOpaque = false
}

/// Everything that one COPY makes, decided before anything is written: directories before what is in them, each path once.
///
/// Contents can then come in any order, and what a later source replaces is never made.
struct CopyPlan {
    private let resolver: RootResolver
    /// True where files and directories take the place of whatever is there.
    private let replaces: Bool
    /// Of directories that are made on the way to the destination.
    var created: Metadata
    /// True where directories that are there keep their times whatever is put into them: for results that depend on no clock.
    var keepsTimes = false

    private(set) var directories: [PlannedDirectory] = []
    private(set) var files: [PlannedFile] = []
    private var directoryIndex: [[UInt8]: Int] = [:]
    private var fileIndex: [[UInt8]: Int] = [:]

    /// - Parameters:
    ///   - owner: of directories that are made on the way.
    ///   - replaces: a file may take the place of a directory that is there and the other way round; in a layer.
    init(resolver: RootResolver, owner: Owner, replaces: Bool = false) {
        self.resolver = resolver
        self.replaces = replaces
        created = Metadata(owner: owner, mode: 0o755, modified: nil)
    }

    /// What will be at a path, as far as the plan goes now.
    enum Occupant {
        case nothing
        case directory
        case other
    }

    func occupant(of path: [UInt8]) throws -> Occupant {
        if directoryIndex[path] != nil || path.isEmpty { return .directory }
        if fileIndex[path] != nil { return .other }
        // In a directory that is made anew there is only what was planned.
        if isInNewDirectory(path) { return .nothing }
        guard let status = try resolver.status(path) else { return .nothing }
        return status.kind == .directory ? .directory : .other
    }

    private func isInNewDirectory(_ path: [UInt8]) -> Bool {
        guard let index = directoryIndex[Self.parent(path)] else { return false }
        return directories[index].existing == nil || directories[index].isOpaque
    }

    /// Plans a directory and those above it; those that are there stay as they are.
    mutating func addDirectories(_ path: [UInt8]) throws {
        var prefix: [UInt8] = []
        try addDirectory(prefix, metadata: nil)
        for name in path.split(separator: UInt8(ascii: "/")) {
            prefix = joined(prefix, Array(name))
            if directoryIndex[prefix] == nil { try addDirectory(prefix, metadata: nil) }
        }
    }

    /// Plans a directory in a planned one. One that is there takes the metadata over; without, it stays as it is.
    mutating func addDirectory(_ path: [UInt8], metadata: Metadata?) throws {
        if let index = directoryIndex[path] {
            if let metadata { directories[index].metadata = metadata }
            return
        }
        if fileIndex[path] != nil { throw FileStepError.replacesFile(path: path) }
        var existing: FileStatus?
        if !isInNewDirectory(path) { existing = try path.isEmpty ? resolver.root.status() : resolver.status(path) }
        if replaces, existing?.kind != .directory { existing = nil }
        if let existing, existing.kind != .directory {
            throw metadata == nil ? FileStepError.notDirectory(path: path) : .replacesFile(path: path)
        }
        directoryIndex[path] = directories.count
        directories.append(PlannedDirectory(path: path, metadata: existing == nil ? metadata ?? created : metadata, existing: existing))
        if existing == nil { noteEntry(path) }
    }

    /// Plans a file in a planned directory, in place of any file that is there.
    mutating func add(_ file: PlannedFile) throws {
        if replaces {
            guard directoryIndex[file.path] == nil else { throw FileStepError.replacesDirectory(path: file.path) }
        } else {
            guard try occupant(of: file.path) != .directory else { throw FileStepError.replacesDirectory(path: file.path) }
        }
        if let index = fileIndex[file.path] {
            files[index] = file
            return
        }
        fileIndex[file.path] = files.count
        files.append(file)
        noteEntry(file.path)
    }

    /// Plans an entry of a context in a planned directory.
    ///
    /// - Parameter mode: in place of its own; a symlink has none.
    mutating func add(_ entry: TreeEntry, at path: [UInt8], owner: Owner, mode: UInt16?) throws {
        let metadata = Metadata(owner: owner, mode: mode ?? entry.mode, modified: entry.modified)
        switch entry.content {
        case .directory: try addDirectory(path, metadata: metadata)
        case .file(let digest, let size): try add(PlannedFile(path: path, content: .content(digest, size: size), metadata: metadata))
        case .symlink(let target): try add(PlannedFile(path: path, content: .symlink(target: target), metadata: metadata))
        case .fifo: try add(PlannedFile(path: path, content: .fifo, metadata: metadata))
        }
    }

    /// Empties a planned directory that is there.
    mutating func makeOpaque(_ path: [UInt8]) {
        if let index = directoryIndex[path] { directories[index].isOpaque = true }
    }

    /// True where a directory is planned, be it that it is only passed through.
    func hasDirectory(_ path: [UInt8]) -> Bool { directoryIndex[path] != nil }

    /// True where a file is planned.
    func hasFile(_ path: [UInt8]) -> Bool { fileIndex[path] != nil }

    /// True where something that was planned will be in the directory.
    func putsSomething(in path: [UInt8]) -> Bool { directoryIndex[path].map { directories[$0].gainsEntries } ?? false }

    private mutating func noteEntry(_ path: [UInt8]) {
        if !path.isEmpty, let index = directoryIndex[Self.parent(path)] { directories[index].gainsEntries = true }
    }

    static func parent(_ path: [UInt8]) -> [UInt8] {
        path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[..<$0]) } ?? []
    }
}
