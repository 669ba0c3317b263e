import Digests

/// One name in a volume.
public struct TreeEntry: Hashable, Sendable {
    /// What is there.
    public enum Content: Hashable, Sendable {
        case directory
        case file(FileContent)
        case symlink(target: [UInt8])
        case fifo
    }

    /// An extended attribute.
    public struct Attribute: Hashable, Sendable {
        public var name: [UInt8]
        public var value: [UInt8]
        public init(name: [UInt8], value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    public var path: TreePath
    /// The permission bits with setuid, setgid and sticky: 0 to 0o7777.
    public var mode: UInt16
    public var uid: UInt32
    public var gid: UInt32
    /// Nanoseconds since the epoch.
    public var modified: Int64
    /// Sorted by name.
    public var attributes: [Attribute]
    public var content: Content

    public init(
        path: TreePath, mode: UInt16, uid: UInt32, gid: UInt32, modified: Int64, attributes: [Attribute] = [], content: Content
    ) {
        self.path = path
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.modified = modified
        self.attributes = attributes
        self.content = content
    }

    /// SYMLINK_MAX; Linux takes no longer target.
    public static let targetLimit = 4095
    /// XATTR_SIZE_MAX and XATTR_NAME_MAX of Linux; more than this many attributes no file system that we know keeps.
    public static let attributeValueLimit = 64 << 10
    public static let attributeNameLimit = 255
    public static let attributeCountLimit = 256

    /// The extended attributes that belong to a volume. Others (`trusted.overlay.` above all, which would steer the kernel) are neither
    /// read nor taken from a peer.
    public static func isKept(attribute name: [UInt8]) -> Bool {
        name.starts(with: "user.".utf8) || name.elementsEqual("security.capability".utf8)
            || name.elementsEqual("system.posix_acl_access".utf8) || name.elementsEqual("system.posix_acl_default".utf8)
    }

    /// The content, where it is a regular file.
    public var file: FileContent? {
        guard case .file(let file) = content else { return nil }
        return file
    }

    /// Whether it is a directory.
    public var isDirectory: Bool { content == .directory }

    /// Whether a hard link to the other's file would stand for this one.
    func hasInode(like other: TreeEntry) -> Bool {
        mode == other.mode && uid == other.uid && gid == other.gid && modified == other.modified && attributes == other.attributes
            && file?.digest == other.file?.digest && file?.size == other.file?.size
    }
}

/// The content of a regular file.
public struct FileContent: Hashable, Sendable {
    public var size: UInt64
    public var digest: Digest
    /// Not 0: all files of the volume with this number are names of one inode.
    public var linkGroup: UInt64
    /// It has holes that are worth keeping.
    public var isSparse: Bool

    public init(size: UInt64, digest: Digest, linkGroup: UInt64 = 0, isSparse: Bool = false) {
        self.size = size
        self.digest = digest
        self.linkGroup = linkGroup
        self.isSparse = isSparse
    }

    /// No file of a volume is larger: one of nothing but holes takes half a minute to hash.
    public static let sizeLimit: UInt64 = 4 << 40
}
