import CLinux
import FileTree
import Glibc

/// Where COPY, ADD and WORKDIR write.
public enum CopyTarget: Sendable, Hashable {
    /// A root that is mounted writable. ADD needs it, since archives may replace anything.
    case mounted(root: String)
    /// The layers below, mounted read-only as one tree, and the new layer's directory, which is empty and not mounted anywhere.
    ///
    /// Faster than overlayfs, and the only way to hard-link files of earlier layers, which lie on the same file system.
    case layer(below: String, upper: String)
}

/// A target that is open.
struct OpenTarget {
    /// What is written to.
    let writable: FileDescriptor
    /// What is seen: the same, and what is below it.
    let resolver: RootResolver
    /// True if directories of the layers below must be made again in the new one before anything can be put into them, and files of other
    /// layers can be linked.
    let isLayer: Bool

    init(_ target: CopyTarget) throws {
        switch target {
        case .mounted(let root):
            writable = try FileDescriptor(Array(root.utf8), flags: O_RDONLY | O_DIRECTORY)
            resolver = RootResolver(root: writable)
            isLayer = false
        case .layer(let below, let upper):
            writable = try FileDescriptor(Array(upper.utf8), flags: O_RDONLY | O_DIRECTORY)
            resolver = RootResolver(root: writable, lower: [try FileDescriptor(Array(below.utf8), flags: O_RDONLY | O_DIRECTORY)])
            isLayer = true
        }
    }

    /// Opens something that is to be written to, or made; nothing on the way to it may be a link.
    func open(_ path: [UInt8], flags: Int32, mode: mode_t = 0) throws -> FileDescriptor {
        try FileDescriptor(
            path, inRoot: writable.number, flags: flags | O_NOFOLLOW, mode: mode, resolve: CLINUX_RESOLVE_NO_SYMLINKS)
    }
}
