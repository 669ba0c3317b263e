import Digests

/// One name in a directory of a context.
public struct TreeEntry: Hashable, Sendable {
    /// What it is, with what only that kind has.
    public enum Content: Hashable, Sendable {
        /// The content's digest and its bytes.
        case file(Digest, size: UInt64)
        /// The digest of its ``TreeObject``.
        case directory(Digest)
        /// Where it points to, as it is: never empty, at most ``TreeObject/targetLimit`` bytes.
        case symlink(target: [UInt8])
        case fifo
    }

    /// Bytes, never empty, `.` or `..`, without `/` and NUL; at most 255.
    public var name: [UInt8]
    /// Permissions with the setuid, setgid and sticky bits.
    public var mode: UInt16
    /// In nanoseconds since the epoch.
    public var modified: Int64
    public var content: Content

    public init(name: [UInt8], mode: UInt16, modified: Int64, content: Content) {
        self.name = name
        self.mode = mode
        self.modified = modified
        self.content = content
    }

    /// True for a directory.
    public var isDirectory: Bool { if case .directory = content { true } else { false } }
}

/// A directory of a context: a node of its Merkle tree.
///
/// Its digest is that of its encoding, which `docs/formats.md` describes; equal directories have equal encodings.
public struct TreeObject: Hashable, Sendable {
    /// The longest name.
    public static let nameLimit = 255
    /// The longest target of a symlink: Linux' PATH_MAX without its NUL.
    public static let targetLimit = 4095
    /// The most entries that a decoder accepts: ten times the largest directory seen in practice.
    public static let entryLimit = 4 << 20

    /// Sorted by the bytes of their names, each name once.
    public let entries: [TreeEntry]

    /// Takes entries in any order; each name must occur once.
    public init(entries: [TreeEntry]) { self.entries = entries.sorted { precedes($0.name, $1.name) } }

    /// The entry of a name. Takes time in proportion to the logarithm of the count.
    public subscript(name: [UInt8]) -> TreeEntry? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if precedes(entries[middle].name, name) { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].name == name ? entries[low] : nil
    }

    /// The digest of the encoding.
    public var digest: Digest { Digest.of(encoded()) }
}
