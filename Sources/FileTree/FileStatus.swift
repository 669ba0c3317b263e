import CLinux
import Glibc

/// What the system says of a file.
public struct FileStatus: Hashable, Sendable {
    /// What kinds of files there are.
    public enum Kind: UInt8, Hashable, Sendable {
        case file = 1
        case directory = 2
        case symlink = 3
        case fifo = 4
        case characterDevice = 5
        case blockDevice = 6
        case socket = 7
    }

    public var kind: Kind
    /// Permissions with the setuid, setgid and sticky bits: 0 to 0o7777.
    public var mode: UInt16
    public var uid: UInt32
    public var gid: UInt32
    /// Bytes.
    public var size: Int64
    /// Of the content, in nanoseconds since the epoch.
    public var modified: Int64
    /// Of the inode, in nanoseconds since the epoch: no program can set it.
    public var changed: Int64
    public var inode: UInt64
    public var device: UInt64
    public var links: UInt64
    /// For device nodes: which.
    public var representedDevice: UInt64
    /// Blocks of 512 bytes that are really there.
    public var blocks: Int64

    /// Takes what a call of the stat family gave.
    public init(_ values: stat) {
        kind =
            switch values.st_mode & S_IFMT {
            case S_IFDIR: .directory
            case S_IFLNK: .symlink
            case S_IFIFO: .fifo
            case S_IFCHR: .characterDevice
            case S_IFBLK: .blockDevice
            case S_IFSOCK: .socket
            default: .file
            }
        mode = UInt16(values.st_mode & 0o7777)
        uid = values.st_uid
        gid = values.st_gid
        size = Int64(values.st_size)
        modified = Self.nanoseconds(values.st_mtim)
        changed = Self.nanoseconds(values.st_ctim)
        inode = UInt64(values.st_ino)
        device = UInt64(values.st_dev)
        links = UInt64(values.st_nlink)
        representedDevice = UInt64(values.st_rdev)
        blocks = Int64(values.st_blocks)
    }

    /// What is there under a name relative to a directory, a symlink itself; nil where there is nothing.
    public static func of(_ path: some Collection<UInt8>, in directory: Int32 = AT_FDCWD) throws -> FileStatus? {
        var values = stat()
        if withPath(path, { fstatat(directory, $0, &values, AT_SYMLINK_NOFOLLOW) }) == 0 { return FileStatus(values) }
        if errno == ENOENT { return nil }
        throw FileTreeError.last("stat", path)
    }

    /// True if the content can't have changed between the two: same inode, size and times.
    public func isUnchanged(since earlier: FileStatus) -> Bool {
        inode == earlier.inode && device == earlier.device && size == earlier.size && modified == earlier.modified
            && changed == earlier.changed && kind == earlier.kind
    }

    /// Nanoseconds since the epoch. The nearest time that can be told, where a file system keeps others than of the years 1678 to 2262.
    public static func nanoseconds(_ time: timespec) -> Int64 {
        let (seconds, isBeyond) = Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        if isBeyond { return time.tv_sec < 0 ? .min : .max }
        let (nanoseconds, isLater) = seconds.addingReportingOverflow(Int64(time.tv_nsec))
        return isLater ? .max : nanoseconds
    }
}

/// The target of a symbolic link, as bytes.
public func readLink(_ path: [UInt8], in directory: Int32 = AT_FDCWD) throws -> [UInt8] {
    let limit = Int(PATH_MAX)
    return try [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
        let length = withPath(path) { path in
            buffer.withMemoryRebound(to: CChar.self) { target in
                target.baseAddress.map { readlinkat(directory, path, $0, limit) } ?? -1
            }
        }
        count = max(0, length)
        if length < 0 { throw FileTreeError.last("read the link", path) }
    }
}
