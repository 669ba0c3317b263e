import CLinux
import Digests
import Glibc

/// Makes the delta of what steps wrote: overlayfs' upper directory *is* the change, so that nothing else has to be looked at.
///
/// The directory becomes what the delta says: opaque directories are replaced by whiteouts of what they hid, files and directories
/// that were copied up but not changed are removed, and overlayfs' own attributes too, so that it can be a lower directory of
/// any stack. Nobody else may touch it meanwhile.
public struct UpperIndex: ~Copyable {
    /// Names that can't be kept (devices, sockets, what is too large or more than others take) and were left out.
    public private(set) var leftOut: [String] = []
    /// What the delta adds to the sums of the generation below, and takes from them.
    public private(set) var growth = VolumeTotals()

    private let reader: TreeReader
    private let lower: any GenerationLookup
    private let contents: UpperContents
    private let generation: Int
    private var puts: [TreeEntry] = []
    private var deletions: [TreePath] = []
    /// What became of the files that were there before.
    private var relations: [TreePath: FileBasis.Relation] = [:]
    /// Files that are gone, by their content: where they may have moved is seen at the end.
    private var deletedContents: [Digest: TreePath] = [:]
    private var links: [UInt64: Link] = [:]
    /// Files that have changed for sure: their puts are there, what is in them is read together.
    private var unread: [UpperContents.Unread] = []
    /// Of the large sparse files of the generation, as far as it is known.
    private var sparseBytes: UInt64
    private let sparseLimit: UInt64

    /// An inode of several names, which is read once.
    private struct Link {
        var group: UInt64
        var members = 0
        var found: UpperContents.Found
    }

    /// So many files are read together: enough for some threads, and little memory.
    private static let unreadLimit = 1024
    /// So many levels hold a descriptor while what is below them is read; deeper ones open theirs again.
    private static let heldDepth = 64
    private static let opaque = Array("trusted.overlay.opaque".utf8)

    /// - Parameters:
    ///   - directory: the upper directory, no longer mounted.
    ///   - lower: the generation that it was mounted upon.
    ///   - files: that one's files: what has changed within a file is found by comparing the two. Nil: nobody compares.
    ///   - lists: of the blocks of large files, old and new.
    ///   - generation: that one's number; makes the numbers of link groups unique in the volume.
    ///   - sparseBytes: of that one's large sparse files, each inode once.
    ///   - sparseLimit: so many of the new one; more nobody would bring.
    public init(
        directory: String, lower: any GenerationLookup, files: GenerationFiles? = nil, lists: BlockLists? = nil, generation: Int,
        sparseBytes: UInt64 = 0, sparseLimit: UInt64 = DeltaFetch.sparseLimit
    ) throws {
        self.sparseBytes = sparseBytes
        self.sparseLimit = sparseLimit
        reader = try TreeReader(directory: directory)
        self.lower = lower
        contents = UpperContents(root: reader.root, lower: files, lists: lists)
        self.generation = generation
    }

    /// The delta; empty when nothing changed but times of directories.
    public mutating func index() throws -> GenerationChange {
        let changed = try directory([], hidesLower: false)
        try readContents()
        guard changed else { return GenerationChange() }
        // What the walk noted as a link and turned out to have one name only is an ordinary file.
        let single = Set(links.values.filter { $0.members == 1 }.map(\.group))
        for index in puts.indices {
            guard var file = puts[index].file, single.contains(file.linkGroup) else { continue }
            file.linkGroup = 0
            puts[index].content = .file(file)
        }
        deletions.sort(by: TreePaths.precedes)
        return GenerationChange(delta: try DeltaManifest(puts: puts, deletions: deletions), bases: bases())
    }

    private func bases() -> [FileBasis] {
        var bases: [FileBasis] = []
        for (index, entry) in puts.enumerated() {
            guard let file = entry.file, file.size > 0 else { continue }
            if let moved = deletedContents[file.digest], relations[entry.path] != .same {
                bases.append(FileBasis(put: index, path: moved, relation: .same))
            } else if let relation = relations[entry.path] {
                bases.append(FileBasis(put: index, path: entry.path, relation: relation))
            }
        }
        return bases
    }

    /// Returns whether there is anything to keep; else its entry was taken back.
    private mutating func directory(_ path: TreePath, hidesLower inherited: Bool, depth: Int = 0) throws -> Bool {
        let root = reader.root
        let held = depth < Self.heldDepth ? try root.openBelow(path, O_RDONLY | O_DIRECTORY) : nil
        func directory() throws -> Descriptor { try held ?? root.openBelow(path, O_RDONLY | O_DIRECTORY) }
        let (entry, names, hidesLower) = try self.entry(of: directory(), path, inherited)
        let old = try lower.entry(path)
        let place = puts.count
        puts.append(entry)
        let children = try TreeReader.names(in: directory(), path)
        var changed = false
        if hidesLower, old?.isDirectory == true { changed = try expand(path, directory(), children) }
        for name in children {
            let below = TreePaths.join(path, name)
            guard below.count <= TreePaths.lengthLimit else {
                leftOut.append(TreePaths.text(below))
                try RemoveTree.remove(name, in: directory())
                continue
            }
            let item = try TreeReader.item(name, in: directory(), below)
            if item.kind != S_IFDIR {
                if try child(name, below, item, in: directory()) { changed = true }
            } else if try self.directory(below, hidesLower: hidesLower, depth: depth + 1) {
                changed = true
            } else {
                let parent = try directory()
                guard name.withCPath({ unlinkat(parent.number, $0, AT_REMOVEDIR) }) == 0 else {
                    throw TreeSyncError.last("removing", below)
                }
            }
        }
        let directory = try directory()
        try UpperContents.removeOverlayAttributes(names, of: directory, path)
        if let old {
            var same = old
            same.modified = entry.modified
            if same != entry { changed = true }
        } else if !path.isEmpty {
            changed = true
        }
        if changed {
            growth.count(entry, 1)
            if let old { growth.count(old, -1) }
            // Removing and adding above has changed the time.
            guard clinux_set_times(directory.number, "", entry.modified, entry.modified) == 0 else {
                throw TreeSyncError.last("setting the times of", path)
            }
        } else {
            puts.removeSubrange(place...)
        }
        return changed
    }

    private func entry(
        of directory: Descriptor, _ path: TreePath, _ inherited: Bool
    ) throws -> (entry: TreeEntry, attributeNames: [[UInt8]], hidesLower: Bool) {
        let item = TreeReader.Item(status: try directory.status(path))
        let names = try TreeReader.attributeNames(of: directory, path)
        let entry = TreeEntry(
            path: path, mode: UInt16(item.status.st_mode & 0o7777), uid: item.status.st_uid, gid: item.status.st_gid,
            modified: item.modified, attributes: try TreeReader.attributes(of: directory, names: names, path), content: .directory)
        return (entry, names, try inherited || isOpaque(directory, names))
    }

    /// Makes whiteouts for what an opaque directory hid and has not itself.
    private mutating func expand(_ path: TreePath, _ directory: Descriptor, _ children: [[UInt8]]) throws -> Bool {
        let own = Set(children)
        var changed = false
        for old in try lower.inside(path) {
            let hidden = old.path
            guard TreePaths.parent(of: hidden) == path, !own.contains(Array(TreePaths.name(of: hidden))) else { continue }
            try whiteout(Array(TreePaths.name(of: hidden)), directory, hidden)
            try delete(old)
            changed = true
        }
        return changed
    }

    private mutating func delete(_ old: TreeEntry) throws {
        note(deleted: old)
        if old.isDirectory { try deleteInside(old.path) }
    }

    private mutating func deleteInside(_ path: TreePath) throws { for old in try lower.inside(path) { note(deleted: old) } }

    private mutating func note(deleted old: TreeEntry) {
        deletions.append(old.path)
        growth.count(old, -1)
        countSparse(nil, old)
        if let file = old.file, file.size > 0 { deletedContents[file.digest] = old.path }
    }

    /// The same for what is no directory.
    private mutating func child(_ name: [UInt8], _ path: TreePath, _ item: TreeReader.Item, in directory: Descriptor) throws -> Bool {
        if item.isWhiteout {
            if let old = try lower.entry(path) {
                try delete(old)
                return true
            }
            try remove(name, directory, path)
            return false
        }
        let old = try lower.entry(path)
        if let entry = certainChange(path, item, old) {
            unread.append(UpperContents.Unread(put: puts.count, path: path, item: item, before: old?.file))
            try add(entry, old)
            if unread.count == Self.unreadLimit { try readContents() }
            return true
        }
        guard isTaken(item, old), let entry = try self.entry(path, name, item, directory, old) else {
            return try leaveOut(name, directory, path, old)
        }
        if entry == old {
            try remove(name, directory, path)
            // In a directory that hides what is below, the old file has to be reached another way; it simply stays.
            return false
        }
        try add(entry, old)
        return true
    }

    /// Whether others would bring a file of that size, with the other holes that there are.
    private func isTaken(_ item: TreeReader.Item, _ old: TreeEntry?) -> Bool {
        guard item.kind == S_IFREG else { return true }
        let size = UInt64(clamping: item.status.st_size)
        guard size <= FileContent.sizeLimit else { return false }
        guard ContentDigest.isByBlocks(size: size), UpperContents.isSparse(item, size: size), links[UInt64(item.status.st_ino)] == nil
        else { return true }
        return sparseBytes - min(sparseBytes, Self.sparseBytes(old)) + size <= sparseLimit
    }

    /// Of the content of one name; of an old hard link nothing, as other names may stay.
    private static func sparseBytes(_ entry: TreeEntry?) -> UInt64 {
        guard let file = entry?.file, file.isLargeAndSparse, file.linkGroup == 0 else { return 0 }
        return file.size
    }

    private mutating func countSparse(_ new: TreeEntry?, _ old: TreeEntry?) {
        sparseBytes -= min(sparseBytes, Self.sparseBytes(old))
        sparseBytes += Self.sparseBytes(new)
    }

    /// What can't be kept is not there in the generation, nor what was there before: it would be taken for the newest.
    private mutating func leaveOut(_ name: [UInt8], _ directory: Descriptor, _ path: TreePath, _ old: TreeEntry?) throws -> Bool {
        leftOut.append(TreePaths.text(path))
        try remove(name, directory, path)
        guard let old else { return false }
        try whiteout(name, directory, path)
        try delete(old)
        return true
    }

    private func whiteout(_ name: [UInt8], _ directory: Descriptor, _ path: TreePath) throws {
        guard name.withCPath({ clinux_mknodat(directory.number, $0, UInt32(S_IFCHR), 0) }) == 0 else {
            throw TreeSyncError.last("making whiteout", path)
        }
    }

    private mutating func add(_ entry: TreeEntry, _ old: TreeEntry?) throws {
        if old?.isDirectory == true { try deleteInside(entry.path) }
        countSparse(entry, old)
        puts.append(entry)
        growth.count(entry, 1)
        if let old { growth.count(old, -1) }
    }

    /// A file that is not what it was, whatever is in it: its entry, still without digest and attributes. Nil for what has to be looked into
    /// first, for large files, which take all threads for themselves, and for hard links, of which one may be read at a time.
    private func certainChange(_ path: TreePath, _ item: TreeReader.Item, _ old: TreeEntry?) -> TreeEntry? {
        let size = UInt64(clamping: item.status.st_size)
        guard item.kind == S_IFREG, item.status.st_nlink == 1, max(size, old?.file?.size ?? 0) <= UpperContents.togetherLimit else {
            return nil
        }
        let entry = Self.entry(path, item, .file(FileContent(size: size, digest: Self.noDigest)))
        guard let old, let before = old.file, before.size == size, old.mode == entry.mode, old.uid == entry.uid, old.gid == entry.gid,
            old.modified == entry.modified
        else { return entry }
        return nil
    }

    private static let noDigest = Digest.of([])

    private static func entry(_ path: TreePath, _ item: TreeReader.Item, _ content: TreeEntry.Content) -> TreeEntry {
        TreeEntry(
            path: path, mode: UInt16(item.status.st_mode & 0o7777), uid: item.status.st_uid, gid: item.status.st_gid,
            modified: item.modified, content: content)
    }

    /// Completes the puts of the files that were only noted.
    private mutating func readContents() throws {
        let found = try contents.read(unread)
        for (file, found) in zip(unread, found) {
            puts[file.put].attributes = found.attributes
            puts[file.put].content = .file(found.content)
            relations[file.path] = found.relation
        }
        unread.removeAll(keepingCapacity: true)
    }

    private func remove(_ name: [UInt8], _ directory: Descriptor, _ path: TreePath) throws {
        guard name.withCPath({ unlinkat(directory.number, $0, 0) }) == 0 else { throw TreeSyncError.last("removing", path) }
    }

    private mutating func entry(
        _ path: TreePath, _ name: [UInt8], _ item: TreeReader.Item, _ directory: Descriptor, _ old: TreeEntry?
    ) throws -> TreeEntry? {
        var entry = Self.entry(path, item, .fifo)
        switch item.kind {
        case S_IFIFO:
            // Not to wait for somebody who writes.
            let fifo = try directory.openBelow(name, O_RDONLY | O_NONBLOCK)
            let names = try TreeReader.attributeNames(of: fifo, path)
            entry.attributes = try TreeReader.attributes(of: fifo, names: names, path)
            try UpperContents.removeOverlayAttributes(names, of: fifo, path)
        case S_IFLNK: entry.content = .symlink(target: try TreeReader.target(name, in: directory, path))
        case S_IFREG:
            let found = try found(path, name, item, directory, old?.file)
            entry.attributes = found.attributes
            entry.content = .file(found.content)
            relations[path] = found.relation
        default: return nil
        }
        return entry
    }

    /// What is in a file, with the number of its link group.
    private mutating func found(
        _ path: TreePath, _ name: [UInt8], _ item: TreeReader.Item, _ directory: Descriptor, _ before: FileContent?
    ) throws -> UpperContents.Found {
        let inode = UInt64(item.status.st_ino)
        if let known = links[inode] {
            links[inode]?.members += 1
            var found = known.found
            found.content.linkGroup = known.group
            found.relation = before.flatMap { $0.size == 0 ? nil : $0.digest == found.content.digest ? .same : .unknown }
            return found
        }
        let file = try directory.openBelow(name, O_RDONLY | CLINUX_O_NOATIME)
        var found = try contents.read(file, path, item, before)
        guard item.status.st_nlink > 1 else { return found }
        let link = Link(group: LinkGroups.number(UInt64(links.count + 1), after: generation), members: 1, found: found)
        links[inode] = link
        if found.content.isLargeAndSparse { sparseBytes += found.content.size }
        found.content.linkGroup = link.group
        return found
    }

    private func isOpaque(_ directory: Descriptor, _ names: [[UInt8]]) throws -> Bool {
        guard names.contains(Self.opaque) else { return false }
        var value: UInt8 = 0
        let count = Self.opaque.withCPath { clinux_fgetxattr(directory.number, $0, &value, 1) }
        return count == 1 && value == UInt8(ascii: "y")
    }
}
