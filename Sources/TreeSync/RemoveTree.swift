import Glibc

/// Removal of directory trees.
public enum RemoveTree {
    /// Removes a path of this machine with all that is in it; one that is not there is no error. No link is followed and no mount is
    /// looked for: unmount before.
    public static func remove(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw TreeSyncError.last("removing", path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard unlink(path) == 0 else { throw TreeSyncError.last("removing", path) }
            return
        }
        try empty(try Descriptor.directory(path), [])
        guard rmdir(path) == 0 else { throw TreeSyncError.last("removing", path) }
    }

    private static func empty(_ directory: Descriptor, _ path: TreePath) throws {
        for name in try TreeReader.names(in: directory, path) {
            if name.withCPath({ unlinkat(directory.number, $0, 0) }) == 0 { continue }
            let below = TreePaths.join(path, name)
            guard errno == EISDIR || errno == EPERM else { throw TreeSyncError.last("removing", below) }
            try empty(try directory.openBelow(name, O_RDONLY | O_DIRECTORY), below)
            guard name.withCPath({ unlinkat(directory.number, $0, AT_REMOVEDIR) }) == 0 else {
                throw TreeSyncError.last("removing", below)
            }
        }
    }
}
