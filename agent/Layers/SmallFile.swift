import FileTree
import Glibc

/// Whole files of a few hundred bytes.
enum SmallFile {
    /// Far more than any of them has.
    static let limit = 1 << 16

    static func read(_ path: String) throws -> [UInt8] { try FileDescriptor(Array(path.utf8)).readAll(limit: limit) }

    static func write(_ bytes: [UInt8], to path: String) throws {
        try FileDescriptor(Array(path.utf8), flags: O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600).write(bytes)
    }
}
