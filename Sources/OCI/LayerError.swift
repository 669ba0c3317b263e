import Digests
import Glibc

/// Why a layer could not be written or read.
public enum LayerError: Error, Sendable, CustomStringConvertible {
    /// A system call failed.
    case system(operation: String, path: String, errno: Int32)
    /// An entry that a layer must not have, or that has no place in one.
    case refused(path: String, reason: String)
    /// Not an archive, or a damaged one.
    case unreadable(reason: String)
    /// More than the limits allow.
    case tooLarge(what: String, limit: Int64)
    /// The bytes are not those that were asked for.
    case mismatch(expected: String, found: String)

    public var description: String {
        switch self {
        case .system(let operation, let path, let errno): "cannot \(operation) '\(path)': \(String(cString: strerror(errno)))"
        case .refused(let path, let reason): "'\(path)' is refused: \(reason)"
        case .unreadable(let reason): "the archive can't be read: \(reason)"
        case .tooLarge(let what, let limit): "the archive has more than \(limit) \(what); make it smaller or raise the limit"
        case .mismatch(let expected, let found): "expected \(expected), but the content is \(found); fetch it again"
        }
    }

    /// A failed call with its errno, for a path of raw bytes.
    static func call(_ operation: String, _ path: some Collection<UInt8>) -> LayerError {
        .system(operation: operation, path: String(decoding: path, as: UTF8.self), errno: errno)
    }

    /// A refusal of a path of raw bytes.
    static func refuse(_ path: some Collection<UInt8>, _ reason: String) -> LayerError {
        .refused(path: String(decoding: path, as: UTF8.self), reason: reason)
    }
}
