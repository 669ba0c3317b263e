import CLinux
import Glibc

/// The owners, modes, times and attributes of the files in a layer's directory.
public enum LayerMetadata {
    /// Gives the files those that the manifest says, where they have others. What is in them is neither read nor changed.
    ///
    /// A file that other layers have, too, is the same in all of them. Blocks; some system calls a file.
    ///
    /// - Parameters:
    ///   - directory: the layer's, in overlayfs' upper form.
    ///   - table: its manifest.
    ///   - damaged: paths that are left as they are.
    public static func mend(_ directory: String, _ table: ManifestTable, except damaged: Set<TreePath>) throws {
        let root = try Descriptor.directory(directory)
        var puts = ManifestCursor(puts: table)
        while try puts.advance() {
            let entry = try puts.entry()
            guard entry.file != nil, !damaged.contains(entry.path) else { continue }
            // Not to wait, whatever is there.
            let file = try root.openBelow(entry.path, O_RDONLY | O_NONBLOCK)
            try mend(file, TreeReader.Item(status: try file.status(entry.path)), entry)
        }
    }

    private static func mend(_ file: Descriptor, _ item: TreeReader.Item, _ entry: TreeEntry) throws {
        let names = try TreeReader.attributeNames(of: file, entry.path)
        let attributes = try TreeReader.attributes(of: file, names: names, entry.path)
        let isRight =
            UInt16(item.status.st_mode & 0o7777) == entry.mode && item.status.st_uid == entry.uid && item.status.st_gid == entry.gid
            && item.modified == entry.modified && attributes == entry.attributes
        if isRight { return }
        for attribute in attributes where !entry.attributes.contains(where: { $0.name == attribute.name }) {
            guard attribute.name.withCPath({ clinux_fremovexattr(file.number, $0) }) == 0 else {
                throw TreeSyncError.last("removing an attribute of", entry.path)
            }
        }
        try TreeWriter.setMetadata(of: file, entry)
    }
}
