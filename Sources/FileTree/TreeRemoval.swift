import CLinux
import Glibc

/// Deletes a directory with everything in it, of any depth, without following links. Blocks.
///
/// Nothing that is mounted below it is touched: the deletion ends with EXDEV where it comes upon a mount.
public enum TreeRemoval {
    // Each level holds a descriptor and some stack. What is deeper is moved up before it is deleted.
    private static let maximumDepth = 64

    /// Nothing happens if the path does not exist. A plain file is deleted too.
    public static func remove(_ path: String) throws { try remove(Array(path.utf8), in: AT_FDCWD) }

    /// The same for a path relative to an open directory, which stays the caller's.
    public static func remove(_ path: [UInt8], in directory: Int32) throws {
        guard withPath(path, { unlinkat(directory, $0, 0) }) != 0, errno != ENOENT else { return }
        guard errno == EISDIR else { throw FileTreeError.last("delete", path) }
        var moved = 0
        var before: Int
        repeat {
            before = moved
            // A listing that is over does not see what was moved into it.
            let root = try FileDescriptor(path, in: directory, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try clear(root, below: root, depth: 0, moved: &moved)
        } while moved > before
        guard withPath(path, { unlinkat(directory, $0, AT_REMOVEDIR) }) == 0 else { throw FileTreeError.last("delete", path) }
    }

    private static func clear(_ directory: FileDescriptor, below root: FileDescriptor, depth: Int, moved: inout Int) throws {
        var directories: [[UInt8]] = []
        try DirectoryListing.forEach(in: directory) { name, kind in
            if kind != .directory {
                if withPath(name, { unlinkat(directory.number, $0, 0) }) == 0 { return }
                guard errno == EISDIR || errno == EPERM else { throw FileTreeError.system(operation: "delete", path: name, code: errno) }
            }
            directories.append(name)
        }
        for name in directories {
            guard depth < maximumDepth else {
                try moveUp(name, from: directory, to: root, moved: &moved)
                continue
            }
            try clear(
                open(name, in: directory), below: root, depth: depth + 1, moved: &moved)
            guard withPath(name, { unlinkat(directory.number, $0, AT_REMOVEDIR) }) == 0 else {
                throw FileTreeError.system(operation: "delete", path: name, code: errno)
            }
        }
    }

    private static func open(_ name: [UInt8], in directory: FileDescriptor) throws -> FileDescriptor {
        let flags = UInt64(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        let number = withPath(name) { clinux_openat2(directory.number, $0, flags, 0, UInt64(CLINUX_RESOLVE_NO_XDEV)) }
        guard number >= 0 else { throw FileTreeError.last("delete", name) }
        return FileDescriptor(owning: number, path: name)
    }

    private static func moveUp(_ name: [UInt8], from directory: FileDescriptor, to root: FileDescriptor, moved: inout Int) throws {
        while true {
            moved += 1
            let status = withPath(name) { name in
                withPath(Array(".deep-\(moved)".utf8)) {
                    clinux_renameat2(directory.number, name, root.number, $0, UInt32(CLINUX_RENAME_NOREPLACE))
                }
            }
            if status == 0 { return }
            guard errno == EEXIST else { throw FileTreeError.system(operation: "move", path: name, code: errno) }
        }
    }
}
