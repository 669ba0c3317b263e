import CLinux
import Glibc

/// The files of a generation on disk: a stack of directories in overlayfs' upper form.
public final class GenerationFiles: Sendable {
    private let layers: [Descriptor]

    /// - Parameter layers: directories, the lowest first. They stay open, and so readable, as long as this object lives.
    public init(layers: [String]) throws { self.layers = try layers.map { try Descriptor.directory($0) } }

    /// Opens a regular file as the stack shows it; nil where it shows none.
    func open(_ path: TreePath) throws -> (file: Descriptor, status: stat)? {
        for layer in layers.reversed() {
            do {
                // Not to wait at a fifo.
                let file = try layer.openBelow(path, O_RDONLY | O_NONBLOCK)
                let status = try file.status(path)
                return status.st_mode & S_IFMT == S_IFREG ? (file, status) : nil
            } catch TreeSyncError.system(_, _, ENOENT) {
                continue
            } catch TreeSyncError.system(_, _, ENXIO), TreeSyncError.system(_, _, ENOTDIR), TreeSyncError.system(_, _, ELOOP) {
                // A whiteout, or something that hides what is below it.
                return nil
            }
        }
        return nil
    }

    /// Opens a regular file of one layer; nil where that has none.
    fileprivate func open(_ path: TreePath, inLayer layer: Int) throws -> (file: Descriptor, status: stat)? {
        do {
            let file = try layers[layer].openBelow(path, O_RDONLY | O_NONBLOCK)
            let status = try file.status(path)
            return status.st_mode & S_IFMT == S_IFREG ? (file, status) : nil
        } catch TreeSyncError.system(_, _, ENOENT), TreeSyncError.system(_, _, ENXIO), TreeSyncError.system(_, _, ENOTDIR),
            TreeSyncError.system(_, _, ELOOP)
        {
            return nil
        }
    }
}

/// Opens many files of a generation, quickest in tree order: its manifests say in which layer each one is. For one thread.
final class GenerationReader {
    private let files: GenerationFiles
    private let index: GenerationIndex?

    /// - Parameter tables: of the same layers; none where they are not at hand.
    init(_ files: GenerationFiles, _ tables: [ManifestTable]) {
        self.files = files
        index = tables.isEmpty ? nil : GenerationIndex(tables)
    }

    /// Opens a regular file; nil where there is none.
    func open(_ path: TreePath) throws -> (file: Descriptor, status: stat)? {
        guard let index else { return try files.open(path) }
        return try index.layer(of: path).flatMap { try files.open(path, inLayer: $0) }
    }
}
