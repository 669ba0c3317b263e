import BuildPlan
import CLinux
import Glibc

/// Something below a directory of a mounted root.
public struct RootEntry: Hashable, Sendable {
    /// Relative to where the walk began; empty for that itself.
    public var path: [UInt8]
    public var status: FileStatus
    /// For a symlink: where it points to.
    public var target: [UInt8]
    public var attributes: [ExtendedAttributes.Attribute]
}

/// Something that a source of COPY --from or of a mount means in a mounted root.
public struct RootMatch: Hashable, Sendable {
    /// Relative to the root, as it was matched.
    public var path: [UInt8]
    /// Relative to the root, without links.
    public var place: [UInt8]
    public var status: FileStatus

    /// The path's last component: the name that COPY gives it in a directory. Empty for the root.
    public var name: [UInt8] { path.split(separator: UInt8(ascii: "/")).last.map { Array($0) } ?? [] }
}

extension RootResolver {
    /// Everything at and below a place, each directory before what is in it, names in order; sockets are left out.
    ///
    /// What `excludes` (relative to the place) leaves out is not there, nor is a directory that would be there only for its excluded contents.
    public func entries(at place: [UInt8], excludes: IgnorePatterns = IgnorePatterns()) throws -> [RootEntry] {
        let start = try open(place, flags: CLINUX_O_PATH)
        var found = [try entry([], start)]
        if found[0].status.kind == .directory {
            var waiting: [RootEntry] = []
            try list(try open(place, flags: O_RDONLY | O_DIRECTORY), at: [], depth: 0, excludes, &waiting, &found)
        }
        return found
    }

    private func list(
        _ directory: FileDescriptor, at path: [UInt8], depth: Int, _ excludes: IgnorePatterns, _ waiting: inout [RootEntry],
        _ found: inout [RootEntry]
    ) throws {
        guard depth < TreeSelector.depthLimit else {
            throw FileTreeError.tooLarge(what: "the depth of a tree", limit: TreeSelector.depthLimit)
        }
        for name in try DirectoryListing.names(in: directory) {
            let child = joined(path, name)
            let file = try FileDescriptor(name, in: directory.number, flags: CLINUX_O_PATH | O_NOFOLLOW)
            let entry = try entry(child, file)
            if entry.status.kind == .socket { continue }
            let isDirectory = entry.status.kind == .directory
            let decision = excludes.isEmpty ? .include : excludes.decision(path: child, isDirectory: isDirectory)
            if decision == .exclude { continue }
            let waitingBefore = waiting.count
            if decision == .excludeButDescend {
                waiting.append(entry)
            } else {
                found.append(contentsOf: waiting)
                waiting.removeAll()
                found.append(entry)
            }
            if isDirectory {
                let below = try FileDescriptor(name, in: directory.number, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                try list(below, at: child, depth: depth + 1, excludes, &waiting, &found)
            }
            if waiting.count > waitingBefore { waiting.removeLast(waiting.count - waitingBefore) }
        }
    }

    private func entry(_ path: [UInt8], _ file: FileDescriptor) throws -> RootEntry {
        let status = try file.status()
        let isLink = status.kind == .symlink
        return RootEntry(
            path: path, status: status, target: isLink ? try readLink([], in: file.number) : [],
            attributes: status.kind == .file || status.kind == .directory ? try ExtendedAttributes.portable(of: file) : [])
    }
}
