import CLinux
import Digests
import FileTree
import Glibc

/// Reads names and metadata of a directory tree on disk.
struct TreeReader {
    let root: Descriptor

    init(directory: String) throws { root = try Descriptor.directory(directory) }

    /// What lies under one name.
    struct Item {
        var status: stat
        var kind: mode_t { status.st_mode & S_IFMT }
        var isWhiteout: Bool { kind == S_IFCHR && status.st_rdev == 0 }
        /// See ``FileStatus/nanoseconds(_:)``.
        var modified: Int64 { FileStatus.nanoseconds(status.st_mtim) }
    }

    /// The names in a directory, sorted: tree order among siblings.
    static func names(in directory: Descriptor, _ path: TreePath) throws -> [[UInt8]] {
        let copy = fcntl(directory.number, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0, let stream = fdopendir(copy) else {
            if copy >= 0 { close(copy) }
            throw TreeSyncError.last("listing", path)
        }
        // The stream owns the copy. The position is shared with the descriptor, which is therefore rewound.
        defer { closedir(stream) }
        rewinddir(stream)
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw TreeSyncError.last("listing", path) }
                break
            }
            let offset = MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0
            let start = UnsafeRawPointer(entry) + offset
            let name = [UInt8](UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
            if name == [UInt8(ascii: ".")] || name == Array("..".utf8) { continue }
            names.append(name)
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// The status of a name itself.
    static func item(_ name: [UInt8], in directory: Descriptor, _ path: TreePath) throws -> Item {
        var status = stat()
        guard name.withCPath({ fstatat(directory.number, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw TreeSyncError.last("reading the status of", path)
        }
        return Item(status: status)
    }

    /// All names of the extended attributes of an open file or directory.
    static func attributeNames(of file: Descriptor, _ path: TreePath) throws -> [[UInt8]] {
        let size = clinux_flistxattr(file.number, nil, 0)
        if size == 0 || (size < 0 && errno == ENOTSUP) { return [] }
        guard size > 0 else { throw TreeSyncError.last("listing the attributes of", path) }
        var list = [CChar](repeating: 0, count: size)
        let count = clinux_flistxattr(file.number, &list, list.count)
        guard count >= 0 else { throw TreeSyncError.last("listing the attributes of", path) }
        return list.prefix(count).split(separator: 0).map { $0.map { UInt8(bitPattern: $0) } }
    }

    /// The attributes that belong to a volume, sorted.
    static func attributes(of file: Descriptor, names: [[UInt8]], _ path: TreePath) throws -> [TreeEntry.Attribute] {
        var attributes: [TreeEntry.Attribute] = []
        for name in names where TreeEntry.isKept(attribute: name) {
            var value = [UInt8](repeating: 0, count: TreeEntry.attributeValueLimit)
            let count = name.withCPath { name in
                value.withUnsafeMutableBytes { clinux_fgetxattr(file.number, name, $0.baseAddress, $0.count) }
            }
            guard count >= 0 else { throw TreeSyncError.last("reading an attribute of", path) }
            attributes.append(TreeEntry.Attribute(name: name, value: Array(value.prefix(count))))
        }
        return attributes.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    /// Reads a symlink's target.
    static func target(_ name: [UInt8], in directory: Descriptor, _ path: TreePath) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: TreePaths.lengthLimit + 1)
        let count = name.withCPath { name in
            buffer.withUnsafeMutableBytes { buffer in
                guard let start = buffer.baseAddress else { return -1 }
                return readlinkat(directory.number, name, start.assumingMemoryBound(to: CChar.self), buffer.count)
            }
        }
        guard count > 0 else { throw TreeSyncError.last("reading the link", path) }
        return Array(buffer.prefix(count))
    }

    /// Hashes an open file; also says how many bytes that were. Throws where it changes meanwhile.
    ///
    /// - Parameter lists: get the digests of the blocks of a large file.
    static func digest(of file: Descriptor, _ path: TreePath, lists: BlockLists? = nil) throws -> (digest: Digest, size: UInt64) {
        try ContentHashing.digest(of: file, path, lists: lists)
    }
}
