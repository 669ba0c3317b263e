import CLinux
import Glibc

/// Copies of directory trees, for the first content of a volume.
public enum TreeCopy {
    /// Copies what is in a directory, but not the directory's own metadata, into another one, which is empty. Owners, modes, times and
    /// attributes are kept; hard links become files of their own.
    ///
    /// - Returns: paths of what volumes don't keep, and was left out: devices and sockets.
    public static func copy(contentsOf source: String, into target: String) throws -> [String] {
        let reader = try TreeReader(directory: source)
        let writer = try TreeWriter(directory: target)
        var leftOut: [String] = []
        try directory([], reader, writer, &leftOut)
        try writer.finish()
        return leftOut
    }

    private static func directory(_ path: TreePath, _ reader: TreeReader, _ writer: TreeWriter, _ leftOut: inout [String]) throws {
        let directory = try reader.root.openBelow(path, O_RDONLY | O_DIRECTORY)
        for name in try TreeReader.names(in: directory, path) {
            let below = TreePaths.join(path, name)
            let item = try TreeReader.item(name, in: directory, below)
            var entry = TreeEntry(
                path: below, mode: UInt16(item.status.st_mode & 0o7777), uid: item.status.st_uid, gid: item.status.st_gid,
                modified: item.modified, content: .fifo)
            switch item.kind {
            case S_IFDIR:
                let opened = try directory.openBelow(name, O_RDONLY | O_DIRECTORY)
                entry.attributes = try attributes(of: opened, below)
                entry.content = .directory
                try writer.make(entry)
                try self.directory(below, reader, writer, &leftOut)
            case S_IFREG:
                let file = try directory.openBelow(name, O_RDONLY)
                entry.attributes = try attributes(of: file, below)
                let (digest, size) = try TreeReader.digest(of: file, below)
                entry.content = .file(FileContent(size: size, digest: digest))
                try writer.copy(entry, from: file)
            case S_IFLNK:
                entry.content = .symlink(target: try TreeReader.target(name, in: directory, below))
                try writer.make(entry)
            case S_IFIFO: try writer.make(entry)
            default: leftOut.append(TreePaths.text(below))
            }
        }
    }

    private static func attributes(of file: Descriptor, _ path: TreePath) throws -> [TreeEntry.Attribute] {
        try TreeReader.attributes(of: file, names: try TreeReader.attributeNames(of: file, path), path)
    }
}
