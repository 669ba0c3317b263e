import Digests
import Glibc

/// Why the layer store could not do what was asked.
public enum LayerStoreError: Error, Sendable, CustomStringConvertible {
    /// The layer is not here.
    case missing(Digest)
    /// A mount or a transfer uses it.
    case inUse(Digest)
    /// What arrived or lies here is not the layer that it should be.
    case mismatch(expected: Digest, found: Digest)
    /// The directory has something else in it.
    case notAStore(path: String)
    /// A system call failed.
    case system(operation: String, path: String, errno: Int32)

    public var description: String {
        switch self {
        case .missing(let layer): "layer \(layer) is not on this agent; fetch it from a holder"
        case .inUse(let layer): "layer \(layer) is in use"
        case .mismatch(let expected, let found): "layer \(expected) has the digest \(found); it is damaged and has to be fetched again"
        case .notAStore(let path):
            "'\(path)' is not empty and no layer store of this version; give the agent another data directory, or empty it"
        case .system(let operation, let path, let code): "cannot \(operation) '\(path)': \(String(cString: strerror(code)))"
        }
    }

    /// A failed call with its errno.
    static func call(_ operation: String, _ path: String) -> LayerStoreError { .system(operation: operation, path: path, errno: errno) }
}
