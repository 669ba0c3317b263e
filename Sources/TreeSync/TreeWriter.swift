import BlockingIO
import CLinux
import Digests
import Glibc

/// Writes the entries of a delta into a directory, in overlayfs' upper form.
///
/// Nothing outside the directory can be touched: names are opened below it without following a link, and the delta has been checked
/// to put each name into a directory of its own. Directories get their owners, modes and times in ``finish()``, since filling them
/// would change the times.
final class TreeWriter {
    private let root: Descriptor
    private var parentPath: TreePath?
    private var parent: Descriptor
    private var directories: [TreeEntry] = []
    private let lists: BlockLists?

    /// - Parameters:
    ///   - directory: is there, and empty but for what this writer makes.
    ///   - lists: get the digests of the blocks of large files.
    init(directory: String, lists: BlockLists? = nil) throws {
        self.lists = lists
        root = try Descriptor.directory(directory)
        parent = root
    }

    /// The directory that a path is in; kept open, as the next path is mostly in the same one.
    private func parent(of path: TreePath) throws -> Descriptor {
        let wanted = TreePaths.parent(of: path) ?? []
        if wanted != parentPath {
            parent = wanted.isEmpty ? root : try root.openBelow(wanted, O_RDONLY | O_DIRECTORY)
            parentPath = wanted
        }
        return parent
    }

    /// Makes anything but a regular file.
    func make(_ entry: TreeEntry) throws {
        let path = entry.path
        let name = TreePaths.name(of: path)
        switch entry.content {
        case .file: preconditionFailure("files have contents")
        case .directory:
            directories.append(entry)
            guard !path.isEmpty else { return }
            let status = try parent(of: path)
            // For root only until it has its own mode.
            guard name.withCPath({ mkdirat(status.number, $0, 0o700) }) == 0 else { throw TreeSyncError.last("making directory", path) }
        case .symlink(let target):
            let directory = try parent(of: path)
            let made = target.withCPath { target in name.withCPath { symlinkat(target, directory.number, $0) } }
            guard made == 0 else { throw TreeSyncError.last("making symlink", path) }
            try setOwnerAndTimes(entry, in: directory, name: name)
        case .fifo:
            let directory = try parent(of: path)
            guard name.withCPath({ clinux_mknodat(directory.number, $0, UInt32(S_IFIFO) | 0o600, 0) }) == 0 else {
                throw TreeSyncError.last("making fifo", path)
            }
            try setOwnerAndTimes(entry, in: directory, name: name)
        }
    }

    private func setOwnerAndTimes(_ entry: TreeEntry, in directory: Descriptor, name: ArraySlice<UInt8>) throws {
        try name.withCPath { name in
            guard fchownat(directory.number, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw TreeSyncError.last("setting the owner of", entry.path)
            }
            if entry.content == .fifo {
                // Not to wait for somebody who writes.
                let number = openat(directory.number, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
                guard number >= 0 else { throw TreeSyncError.last("opening", entry.path) }
                try Self.setMetadata(of: Descriptor(owning: number), entry)
                return
            }
            // A symlink's mode can't be set.
            guard clinux_set_times(directory.number, name, entry.modified, entry.modified) == 0 else {
                throw TreeSyncError.last("setting the times of", entry.path)
            }
        }
    }

    /// Makes a regular file of what `body` writes; it is removed again where that is not what the entry says. The beginning of a large file
    /// stays where `body` throws something else, and the transfer with it.
    func writeFile(_ entry: TreeEntry, _ body: (FileSink) throws -> Void) throws {
        guard let content = entry.file else { preconditionFailure("only files have contents") }
        let directory = try parent(of: entry.path)
        let name = TreePaths.name(of: entry.path)
        let number = name.withCPath {
            openat(directory.number, $0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
        guard number >= 0 else { throw TreeSyncError.last("creating", entry.path) }
        let file = Descriptor(owning: number)
        do {
            let sink = try FileSink(file, path: entry.path, expected: content, lists: lists)
            try body(sink)
            try sink.finish()
            try Self.setMetadata(of: file, entry)
        } catch {
            if !Self.isBeginning(of: content, error) { _ = name.withCPath { unlinkat(directory.number, $0, 0) } }
            throw error
        }
    }

    /// Whether what was written of a file is worth keeping for the next attempt: of a large one that ended early, not of one that is wrong.
    private static func isBeginning(of content: FileContent, _ error: any Error) -> Bool {
        switch error {
        case TreeSyncError.digestMismatch, TreeSyncError.librsync: false
        default: ContentDigest.isByBlocks(size: content.size)
        }
    }

    /// Makes a regular file of one that lies aside, on the same file system, by changing it; it is gone where the body throws. It gets its
    /// name when it is whole.
    func patchFile(_ entry: TreeEntry, aside: String, body: (Descriptor) throws -> Void) throws {
        let directory = try parent(of: entry.path)
        do {
            let file = try Descriptor.open(aside, O_RDWR)
            try body(file)
            try Self.setMetadata(of: file, entry)
            let renamed = TreePaths.name(of: entry.path).withCPath { renameat(AT_FDCWD, aside, directory.number, $0) }
            guard renamed == 0 else { throw TreeSyncError.last("renaming", entry.path) }
        } catch {
            unlink(aside)
            throw error
        }
    }

    /// Gives an inode another name.
    func link(_ entry: TreeEntry, to first: TreePath) throws {
        let file = try root.openBelow(first, CLINUX_O_PATH)
        try link(entry, to: file)
    }

    /// Gives an inode, which may be in another directory of the same file system, a name here.
    func link(_ entry: TreeEntry, to file: Descriptor) throws {
        let directory = try parent(of: entry.path)
        let made = TreePaths.name(of: entry.path).withCPath {
            linkat(AT_FDCWD, "/proc/self/fd/\(file.number)", directory.number, $0, AT_SYMLINK_FOLLOW)
        }
        guard made == 0 else { throw TreeSyncError.last("linking", entry.path) }
    }

    /// Makes a file of another file's bytes, which are verified on the way.
    func copy(_ entry: TreeEntry, from file: Descriptor) throws {
        try writeFile(entry) { sink in
            let size = UInt64(clamping: try file.status(entry.path).st_size)
            try file.eachExtent(size: size, entry.path) { extent in
                if extent.isHole { return try sink.skip(extent.length) }
                try file.eachPortion(of: extent, entry.path) { try sink.write($0) }
            }
        }
    }

    /// Takes over a file that has one name only, of another directory of the same file system: moves it here and gives it its metadata.
    ///
    /// - Parameter old: what it was to become there.
    func adopt(_ entry: TreeEntry, _ file: Descriptor, of old: TreeEntry, from directory: Descriptor) throws {
        for attribute in old.attributes where !entry.attributes.contains(where: { $0.name == attribute.name }) {
            // It may not have come that far.
            _ = attribute.name.withCPath { clinux_fremovexattr(file.number, $0) }
        }
        let target = try parent(of: entry.path)
        let moved = TreePaths.name(of: old.path).withCPath { from in
            TreePaths.name(of: entry.path).withCPath { renameat(directory.number, from, target.number, $0) }
        }
        guard moved == 0 else { throw TreeSyncError.last("moving", entry.path) }
        try Self.setMetadata(of: file, entry)
    }

    /// Opens a file that this writer has made.
    func openMade(_ path: TreePath) throws -> Descriptor { try root.openBelow(path, O_RDONLY) }

    /// Hides a name of the generations below.
    func whiteout(_ path: TreePath) throws {
        let directory = try parent(of: path)
        let made = TreePaths.name(of: path).withCPath { clinux_mknodat(directory.number, $0, UInt32(S_IFCHR), 0) }
        guard made == 0 else { throw TreeSyncError.last("making whiteout", path) }
    }

    /// Removes a name that is no directory; one that is not there is no error.
    func remove(_ path: TreePath) throws {
        let directory = try parent(of: path)
        let removed = TreePaths.name(of: path).withCPath { unlinkat(directory.number, $0, 0) }
        guard removed == 0 || errno == ENOENT else { throw TreeSyncError.last("removing", path) }
    }

    /// A directory that is already there gets its metadata with the others.
    func touch(_ entry: TreeEntry) { directories.append(entry) }

    /// Gives the directories their owners, modes, attributes and times.
    func finish() throws {
        for entry in directories.reversed() {
            try Self.setMetadata(of: root.openBelow(entry.path, O_RDONLY | O_DIRECTORY), entry)
        }
        directories = []
    }

    /// Gives an open file or directory its owner, mode, attributes and times.
    static func setMetadata(of file: Descriptor, _ entry: TreeEntry) throws {
        // In this order: a new owner takes setuid and capabilities away, and everything changes the times.
        guard fchown(file.number, entry.uid, entry.gid) == 0 else { throw TreeSyncError.last("setting the owner of", entry.path) }
        guard fchmod(file.number, mode_t(entry.mode)) == 0 else { throw TreeSyncError.last("setting the mode of", entry.path) }
        for attribute in entry.attributes {
            let set = attribute.name.withCPath { name in
                attribute.value.withUnsafeBytes { clinux_fsetxattr(file.number, name, $0.baseAddress, $0.count, 0) }
            }
            guard set == 0 else { throw TreeSyncError.last("setting an attribute of", entry.path) }
        }
        guard clinux_set_times(file.number, "", entry.modified, entry.modified) == 0 else {
            throw TreeSyncError.last("setting the times of", entry.path)
        }
    }
}

extension ByteSource {
    /// Moves everything to a sink.
    func copy(to sink: any ByteSink) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Rsync.bufferSize, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try read(into: buffer)
            if count == 0 { return }
            try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
