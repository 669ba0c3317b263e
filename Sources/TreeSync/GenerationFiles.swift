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
}
