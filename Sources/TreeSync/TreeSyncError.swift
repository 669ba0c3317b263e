import Glibc

/// Why a volume could not be read, written or brought here.
public enum TreeSyncError: Error, Sendable, Equatable {
    /// A system call failed.
    case system(operation: String, path: String, code: Int32)
    /// A manifest that can't be: from a peer, or damaged on disk.
    case badManifest(String)
    /// A stream that does not follow the protocol.
    case badStream(String)
    /// What arrived is not what was announced.
    case digestMismatch(path: String)
    /// The other side no longer has what was asked for.
    case contentGone(path: String)
    case librsync(operation: String, code: Int32)
    case compression(String)
    /// More arrives of a file than there is room for on the disk.
    case noRoom(path: String)
    /// The tree has something that volumes don't keep.
    case unsupported(path: String, what: String)

    /// True for what only a peer that is damaged or hostile sends.
    public var isOfPeer: Bool {
        switch self {
        case .badManifest, .badStream: true
        default: false
        }
    }

    /// A system call's error. Where the disk is full that is what matters to who reads it, and not with which file it became so.
    public static func text(of operation: String, _ path: String, _ code: Int32) -> String {
        code == ENOSPC || code == EDQUOT
            ? "the disk of this agent is full: give it more room" : "\(operation) \(path): \(String(cString: strerror(code)))"
    }

    static func last(_ operation: String, _ path: String) -> TreeSyncError { .system(operation: operation, path: path, code: errno) }
    static func last(_ operation: String, _ path: TreePath) -> TreeSyncError { .last(operation, TreePaths.text(path)) }
}

extension TreeSyncError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .system(let operation, let path, let code): Self.text(of: operation, path, code)
        case .badManifest(let what): "the volume's manifest is refused: \(what)"
        case .badStream(let what): "the peer's stream is refused: \(what)"
        case .digestMismatch(let path): "\(path): the bytes that arrived are not those that were announced"
        case .contentGone(let path): "\(path): the holder no longer has this content"
        case .librsync(let operation, let code): "librsync \(operation) failed with result \(code)"
        case .compression(let what): "zstd: \(what)"
        case .noRoom(let path): "\(path): the disk has no room for what arrives of it"
        case .unsupported(let path, let what): "\(path): \(what) can't be kept in a volume"
        }
    }
}
