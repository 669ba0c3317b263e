import FileTree
import Glibc

/// Removes whole trees.
enum FileRemoval {
    /// Removes a path with everything below it; links are removed, not followed. Nothing is done where there is nothing.
    static func remove(_ path: [UInt8]) throws {
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return }
        let parent = try FileDescriptor(Array(path[..<slash]), flags: O_RDONLY | O_DIRECTORY)
        try remove(Array(path[(slash + 1)...]), in: parent)
    }

    private static func remove(_ name: [UInt8], in parent: FileDescriptor) throws {
        if withPath(name, { unlinkat(parent.number, $0, 0) }) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw failure(name, in: parent) }
        let directory = try FileDescriptor(name, in: parent.number, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        for child in try DirectoryListing.names(in: directory) { try remove(child, in: directory) }
        guard withPath(name, { unlinkat(parent.number, $0, AT_REMOVEDIR) }) == 0 || errno == ENOENT else { throw failure(name, in: parent) }
    }

    private static func failure(_ name: [UInt8], in parent: FileDescriptor) -> FileStepError {
        .system(operation: "remove", path: joined(parent.path, name), code: errno)
    }
}
