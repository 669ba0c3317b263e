import BlockingIO
import FileTree
import Glibc

/// A path in a mounted tree that is not trusted.
enum TreePlace {
    /// Where the path leads, as an absolute path of this machine; links in it do not lead out of the root.
    static func find(_ path: String, in root: String) async throws -> String {
        try await BlockingPool.shared.run {
            let place = try RootResolver(path: Array(root.utf8)).resolve(Array(path.utf8))
            guard place.status != nil else { throw FileTreeError.notFound(path: path) }
            return "\(root)/\(String(decoding: place.path, as: UTF8.self))"
        }
    }

    /// Whether a directory is at the path, which leads nowhere else.
    static func isDirectory(_ path: String) async throws -> Bool {
        try await BlockingPool.shared.run {
            var status = stat()
            return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        }
    }
}
