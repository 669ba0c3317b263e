import BlockingIO
import FileTree

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
}
