import BuildPlan
import CLinux
import Glibc

/// Something below a directory of a mounted root.
public struct RootEntry: Hashable, Sendable {
    /// Relative to where the walk began; empty for that itself.
    public var path: [UInt8]
    public var status: FileStatus
    /// For a symlink: where it points to.
    public var target: [UInt8] = []
    public var attributes: [ExtendedAttributes.Attribute] = []
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
    /// What `rules` (relative to the place) leaves out is not there, nor is a directory that would be there only for its excluded contents.
    public func entries(at place: [UInt8], rules: PathRules = PathRules()) throws -> [RootEntry] {
        guard let status = try status(place) else { throw FileTreeError.notFound(path: FileTreeError.text(place)) }
        switch status.kind {
        case .directory:
            let directory = try open(place, flags: O_RDONLY | O_DIRECTORY)
            var found = [try Self.entry([], directory)]
            var waiting: [RootEntry] = []
            try Self.list(directory, at: [], depth: 0, rules, &waiting, &found)
            return found
        case .file: return [try Self.entry([], try open(place, flags: O_RDONLY | O_NONBLOCK))]
        case .symlink: return [RootEntry(path: [], status: status, target: try readLink([], in: open(place, flags: CLINUX_O_PATH).number))]
        case .fifo, .characterDevice, .blockDevice, .socket: return [RootEntry(path: [], status: status)]
        }
    }

    private static func list(
        _ directory: FileDescriptor, at path: [UInt8], depth: Int, _ rules: PathRules, _ waiting: inout [RootEntry],
        _ found: inout [RootEntry]
    ) throws {
        guard depth < TreeSelector.depthLimit else {
            throw FileTreeError.tooLarge(what: "the depth of a tree", limit: TreeSelector.depthLimit)
        }
        for name in try DirectoryListing.names(in: directory) {
            guard let status = try FileStatus.of(name, in: directory.number), status.kind != .socket else { continue }
            let child = joined(path, name)
            let isDirectory = status.kind == .directory
            let decision = rules.isEmpty ? .include : rules.decision(path: child, isDirectory: isDirectory)
            if decision == .exclude { continue }
            var below: FileDescriptor?
            let entry: RootEntry
            switch status.kind {
            case .directory:
                let open = try FileDescriptor(name, in: directory.number, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                below = open
                entry = try Self.entry(child, open)
            // Only what is no fifo and no device is opened: those would block or do things.
            case .file:
                entry = try Self.entry(child, try FileDescriptor(name, in: directory.number, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
            case .symlink: entry = RootEntry(path: child, status: status, target: try readLink(name, in: directory.number))
            case .fifo, .characterDevice, .blockDevice, .socket: entry = RootEntry(path: child, status: status)
            }
            let waitingBefore = waiting.count
            if decision == .excludeButDescend {
                waiting.append(entry)
            } else {
                found.append(contentsOf: waiting)
                waiting.removeAll()
                found.append(entry)
            }
            if let below { try list(below, at: child, depth: depth + 1, rules, &waiting, &found) }
            if waiting.count > waitingBefore { waiting.removeLast(waiting.count - waitingBefore) }
        }
    }

    private static func entry(_ path: [UInt8], _ file: FileDescriptor) throws -> RootEntry {
        RootEntry(path: path, status: try file.status(), attributes: try ExtendedAttributes.portable(of: file))
    }
}
