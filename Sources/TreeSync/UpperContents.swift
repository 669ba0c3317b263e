import BlockingIO
import CLinux
import Digests
import Glibc
import Synchronization

/// Reads what is in the files of an upper directory and what it has of the versions before.
struct UpperContents: Sendable {
    /// Of the upper directory.
    let root: Descriptor
    /// The generation below; nil: nobody compares.
    let lower: GenerationFiles?
    /// Of the blocks of large files, old and new.
    let lists: BlockLists?

    /// A file whose entry is there but for what is in it.
    struct Unread: Sendable {
        var put: Int
        var path: TreePath
        var item: TreeReader.Item
        /// What was there before.
        var before: FileContent?
    }

    struct Found: Sendable {
        var attributes: [TreeEntry.Attribute]
        var content: FileContent
        /// Nil where no content was there before.
        var relation: FileBasis.Relation?
    }

    /// Larger files are read by themselves: each thread holds a file and its older version in memory.
    static let togetherLimit: UInt64 = 2 << 20
    /// A file counts as sparse when at least this much of it is holes.
    private static let worthwhileHoles: Int64 = 64 << 10
    /// Smaller files go as they are.
    private static let comparedFrom: UInt64 = 512
    private static let overlayPrefix = Array("trusted.overlay.".utf8)
    /// Others want to compute, too.
    private static let threadLimit = min(4, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    /// Files that a thread takes at a time; fewer are not worth another thread.
    private static let share = 16

    /// Reads files on several threads, in any order. Throws where one of them can't be read.
    func read(_ files: [Unread]) throws -> [Found] {
        let shares = (files.count + Self.share - 1) / Self.share
        let next = Atomic(0)
        let all = Mutex([[Found]](repeating: [], count: shares))
        try withThreads(min(Self.threadLimit, shares)) { _ in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < shares else { return }
                let found = try files[index * Self.share..<min(files.count, (index + 1) * Self.share)].map(read)
                all.withLock { $0[index] = found }
            }
        }
        return all.withLock { $0.flatMap(\.self) }
    }

    private func read(_ unread: Unread) throws -> Found {
        let file = try root.openBelow(unread.path, O_RDONLY | CLINUX_O_NOATIME)
        let found = try read(file, unread.path, unread.item, unread.before)
        guard found.content.size == UInt64(clamping: unread.item.status.st_size) else {
            throw TreeSyncError.contentGone(path: TreePaths.text(unread.path))
        }
        return found
    }

    /// Reads an open file, and takes overlayfs' own attributes from it.
    func read(_ file: Descriptor, _ path: TreePath, _ item: TreeReader.Item, _ before: FileContent?) throws -> Found {
        let names = try TreeReader.attributeNames(of: file, path)
        let attributes = try TreeReader.attributes(of: file, names: names, path)
        let (digest, size, relation) = try content(of: file, path, before)
        try Self.removeOverlayAttributes(names, of: file, path)
        let content = FileContent(size: size, digest: digest, isSparse: Self.isSparse(item, size: size))
        return Found(attributes: attributes, content: content, relation: relation)
    }

    /// Whether a file of that size has holes that are worth keeping.
    static func isSparse(_ item: TreeReader.Item, size: UInt64) -> Bool {
        Int64(clamping: size) - Int64(item.status.st_blocks) * 512 >= worthwhileHoles
    }

    /// Hashes a file and compares it with the one that was there before.
    private func content(
        of file: Descriptor, _ path: TreePath, _ before: FileContent?
    ) throws -> (digest: Digest, size: UInt64, relation: FileBasis.Relation?) {
        guard let before, before.size > 0 else {
            let (digest, size) = try TreeReader.digest(of: file, path, lists: lists)
            return (digest, size, nil)
        }
        let size = UInt64(clamping: try file.status(path).st_size)
        guard size < ContentMatch.sizeLimit, before.size < ContentMatch.sizeLimit, size >= Self.comparedFrom,
            let (oldFile, _) = try lower?.open(path)
        else {
            let (digest, size) = try ContentHashing.digest(of: file, path, lists: lists, older: try olderBlocks(path, before, size))
            if digest == before.digest { return (digest, size, .same) }
            let runs = try lists?.runs(old: before, new: FileContent(size: size, digest: digest))
            return (digest, size, runs.map { .runs($0) } ?? .unknown)
        }
        // Both fit into memory.
        let new = try Self.read(file, size, path)
        let digest = new.withUnsafeBytes { ContentDigest.of($0) }
        if digest == before.digest { return (digest, size, .same) }
        let older = try Self.read(oldFile, before.size, path)
        let runs = new.withUnsafeBytes { new in older.withUnsafeBytes { ContentMatch.runs(old: $0, new: new) } }
        return (digest, size, runs.map { .runs($0) } ?? .unknown)
    }

    private func olderBlocks(_ path: TreePath, _ before: FileContent, _ size: UInt64) throws -> KnownBlocks? {
        guard ContentDigest.isByBlocks(size: size), ContentDigest.isByBlocks(size: before.size), let lists,
            let (file, _) = try lower?.open(path)
        else { return nil }
        return KnownBlocks(of: before, in: file, lists: lists)
    }

    private static func read(_ file: Descriptor, _ size: UInt64, _ path: TreePath) throws -> [UInt8] {
        var filled = 0
        let bytes = try [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            filled = try file.readFully(into: UnsafeMutableRawBufferPointer(buffer))
            count = filled
        }
        guard filled == Int(size) else { throw TreeSyncError.contentGone(path: TreePaths.text(path)) }
        return bytes
    }

    /// Takes overlayfs' own attributes from a file or directory that has them.
    static func removeOverlayAttributes(_ names: [[UInt8]], of file: Descriptor, _ path: TreePath) throws {
        for name in names where name.starts(with: overlayPrefix) {
            guard name.withCPath({ clinux_fremovexattr(file.number, $0) }) == 0 else {
                throw TreeSyncError.last("removing an attribute of", path)
            }
        }
    }
}
