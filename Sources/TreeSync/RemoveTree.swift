import FileTree
import Glibc

/// Removal of directory trees, of any depth: builds make what they like.
public enum RemoveTree {
    /// Removes a path of this machine with all that is in it; one that is not there is no error. No link is followed and no mount is
    /// looked for: unmount before.
    public static func remove(_ path: String) throws { try remove(Array(path.utf8), in: AT_FDCWD) }

    /// The same for a name in an open directory.
    static func remove(_ name: [UInt8], in directory: Descriptor) throws { try remove(name, in: directory.number) }

    private static func remove(_ path: [UInt8], in directory: Int32) throws {
        do {
            try TreeRemoval.remove(path, in: directory)
        } catch FileTreeError.system(_, let path, let code) {
            throw TreeSyncError.system(operation: "removing", path: TreePaths.text(path), code: code)
        }
    }
}
