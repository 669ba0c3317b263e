import FileTree
import Glibc

/// Removal of directory trees, of any depth: builds make what they like.
public enum RemoveTree {
    /// Removes a path of this machine with all that is in it; one that is not there is no error. No link is followed. It ends where
    /// something is mounted: unmount before.
    public static func remove(_ path: String) throws { try remove(Array(path.utf8), in: AT_FDCWD) }

    /// The same for a name in an open directory.
    static func remove(_ name: [UInt8], in directory: Descriptor) throws { try remove(name, in: directory.number) }

    /// Removes what is in a directory, names in their order and directories only when they are empty, as long as there is need.
    public static func trim(_ path: String, while isNeeded: () -> Bool) throws {
        try trim(try Descriptor.directory(path), depth: 0, isNeeded)
    }

    /// Each level holds a descriptor; what is nested deeper goes as a whole.
    private static let trimDepth = 100

    private static func trim(_ directory: Descriptor, depth: Int, _ isNeeded: () -> Bool) throws {
        for name in try TreeReader.names(in: directory, []) {
            guard isNeeded() else { return }
            if name.withCPath({ unlinkat(directory.number, $0, 0) }) == 0 { continue }
            guard errno == EISDIR || errno == EPERM else { throw TreeSyncError.last("removing", name) }
            guard depth < trimDepth else {
                try remove(name, in: directory)
                continue
            }
            try trim(try directory.openBelow(name, O_RDONLY | O_DIRECTORY), depth: depth + 1, isNeeded)
            // One that is not empty stays.
            _ = name.withCPath { unlinkat(directory.number, $0, AT_REMOVEDIR) }
        }
    }

    private static func remove(_ path: [UInt8], in directory: Int32) throws {
        do {
            try TreeRemoval.remove(path, in: directory)
        } catch FileTreeError.system(_, let path, let code) {
            throw TreeSyncError.system(operation: "removing", path: TreePaths.text(path), code: code)
        }
    }
}
