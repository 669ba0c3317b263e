import BuildPlan
import Digests
import Glibc

/// What goes wrong with trees of files: what, on what, and what to do.
public enum FileTreeError: Error, Sendable, Equatable {
    /// A call to the system failed.
    case system(operation: String, path: [UInt8], code: Int32)
    /// Bytes from elsewhere are not what they should be.
    case malformed(what: String, reason: String)
    /// A context can't have device nodes.
    case deviceNode(path: [UInt8])
    /// A file was written to while it was read.
    case changedWhileRead(path: [UInt8])
    /// A source of COPY or a mount that is not there.
    case notFound(path: String)
    /// A component of a source's path is not a directory.
    case notDirectory(path: String)
    /// More symbolic links than ``TreeSelector/symlinkLimit`` in one path.
    case tooManySymlinks(path: String)
    /// A tree refers to an object that nobody sent.
    case missingObject(Digest)
    /// A file's content is not here.
    case missingContent(Digest)
    /// Bytes that do not have the digest they were announced with.
    case digestMismatch(expected: Digest, actual: Digest)
    /// Something exceeds a limit of this module.
    case tooLarge(what: String, limit: Int)

    /// The error of the call that has just failed.
    static func last(_ operation: String, _ path: some Sequence<UInt8>) -> FileTreeError {
        .system(operation: operation, path: Array(path), code: errno)
    }
}

extension FileTreeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .system(let operation, let path, let code):
            let text = String(cString: strerror(code))
            let advice =
                switch code {
                case ENOSPC, EDQUOT: "; free space on its disk"
                case EACCES: "; make it readable, or name it in .dockerignore if it belongs to a context"
                case EMFILE, ENFILE: "; raise the limit of open files"
                default: ""
                }
            return "can't \(operation) '\(Self.text(path))': \(text)\(advice)"
        case .malformed(let what, let reason): return "\(what) is damaged: \(reason)"
        case .deviceNode(let path):
            return "'\(Self.text(path))' in the context is a device node, which a build can't take; remove it or name it in .dockerignore"
        case .changedWhileRead(let path):
            return
                "'\(Self.text(path))' changed while the build read it; submit again when nothing writes to it, or name it in .dockerignore"
        case .notFound(let path): return "'\(path)' does not exist"
        case .notDirectory(let path): return "'\(path)' is not a directory"
        case .tooManySymlinks(let path): return "'\(path)' goes through too many symbolic links; do they form a circle?"
        case .missingObject(let digest): return "directory object \(digest) is missing; submit the build again"
        case .missingContent(let digest): return "file content \(digest) is missing; submit the build again"
        case .digestMismatch(let expected, let actual):
            return "content that should be \(expected) is \(actual); a file changed while it was sent, submit the build again"
        case .tooLarge(let what, let limit): return "\(what) exceeds the limit of \(limit)"
        }
    }

    /// A path as text, what is not UTF-8 replaced.
    static func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }
}
