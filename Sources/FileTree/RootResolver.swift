import BuildPlan
import CLinux
import Glibc

/// Resolves paths inside a directory as if it were the root of the file system: links and `..` never lead out of it.
///
/// The kernel checks each step again (openat2 with RESOLVE_IN_ROOT and RESOLVE_NO_SYMLINKS), so that a link that appears meanwhile is an
/// error and not a way out.
public struct RootResolver: Sendable {
    /// Where a path leads.
    public struct Place: Sendable, Hashable {
        /// Relative to the root, without links and `..`; empty for the root itself.
        public var path: [UInt8]
        /// What is there; nil where there is nothing yet.
        public var status: FileStatus?

        /// The directory that holds it, and its name in it; the root is its own directory with an empty name.
        public var parent: (directory: [UInt8], name: [UInt8]) {
            guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return ([], path) }
            return (Array(path[..<slash]), Array(path[(slash + 1)...]))
        }
    }

    /// The directory that counts as the root; of several that count as one, the uppermost.
    public let root: FileDescriptor
    /// What is not in those before is looked for here.
    private let lower: [FileDescriptor]

    /// - Parameter lower: directories that are seen through `root`, uppermost first, as overlayfs would show them; `root` must have no
    ///   whiteouts and no opaque directories.
    public init(root: FileDescriptor, lower: [FileDescriptor] = []) {
        self.root = root
        self.lower = lower
    }

    /// Opens the directory that is to count as the root.
    public init(path: [UInt8]) throws { self.init(root: try FileDescriptor(path, flags: O_RDONLY | O_DIRECTORY)) }

    /// Follows all links of a path. Components that do not exist are kept as they are, `..` among them taken back textually.
    ///
    /// - Parameter followLast: false to stop at a link that the path itself names.
    public func resolve(_ path: [UInt8], followLast: Bool = true) throws -> Place {
        var stack: [[UInt8]] = []
        var statuses: [FileStatus?] = []
        var pending = Array(components(of: path).reversed())
        var links = 0
        while let name = pending.popLast() {
            if name == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                if !stack.isEmpty {
                    stack.removeLast()
                    statuses.removeLast()
                }
                continue
            }
            if let above = statuses.last {
                // Below something that does not exist nothing exists.
                guard let above else {
                    stack.append(name)
                    statuses.append(nil)
                    continue
                }
                guard above.kind == .directory else { throw FileTreeError.notDirectory(path: FileTreeError.text(path)) }
            }
            let candidate = Array((stack + [name]).joined(separator: [UInt8(ascii: "/")]))
            guard let file = try openIfThere(candidate) else {
                stack.append(name)
                statuses.append(nil)
                continue
            }
            let status = try file.status()
            guard status.kind == .symlink, followLast || !pending.isEmpty else {
                stack.append(name)
                statuses.append(status)
                continue
            }
            links += 1
            guard links <= TreeSelector.symlinkLimit else { throw FileTreeError.tooManySymlinks(path: FileTreeError.text(path)) }
            let target = try readLink([], in: file.number)
            if target.first == UInt8(ascii: "/") {
                stack = []
                statuses = []
            }
            pending.append(contentsOf: components(of: target).reversed())
        }
        let status = try statuses.isEmpty ? root.status() : statuses[statuses.count - 1]
        return Place(path: Array(stack.joined(separator: [UInt8(ascii: "/")])), status: status)
    }

    /// Opens a path that has no links, relative to the root.
    public func open(_ path: [UInt8], flags: Int32) throws -> FileDescriptor {
        for directory in [root] + lower.dropLast() {
            do {
                return try Self.open(path, in: directory, flags: flags)
            } catch FileTreeError.system(_, _, ENOENT) where !lower.isEmpty {
                continue
            }
        }
        return try Self.open(path, in: lower.last ?? root, flags: flags)
    }

    /// Opens a directory of those below the uppermost, to read what it is.
    public func belowUppermost(_ path: [UInt8]) throws -> FileDescriptor {
        guard let next = lower.first else { return try open(path, flags: O_RDONLY | O_DIRECTORY) }
        return try RootResolver(root: next, lower: Array(lower.dropFirst())).open(path, flags: O_RDONLY | O_DIRECTORY)
    }

    /// What is there under a path that has no links; nil where there is nothing.
    public func status(_ path: [UInt8]) throws -> FileStatus? { try openIfThere(path)?.status() }

    private static func open(_ path: [UInt8], in directory: FileDescriptor, flags: Int32) throws -> FileDescriptor {
        try FileDescriptor(path, inRoot: directory.number, flags: flags | O_NOFOLLOW, resolve: CLINUX_RESOLVE_NO_SYMLINKS)
    }

    private func openIfThere(_ path: [UInt8]) throws -> FileDescriptor? {
        do {
            return try open(path, flags: CLINUX_O_PATH)
        } catch FileTreeError.system(_, _, ENOENT) {
            return nil
        }
    }
}
