import BlockingIO
import Digests
import Glibc

/// A context as it was scanned: its Merkle tree, and where the contents of its files are.
public struct ContextTree: Sendable {
    /// A file that has a certain content.
    public struct File: Sendable, Hashable {
        /// Relative to the context's root.
        public var path: [UInt8]
        /// Bytes.
        public var size: Int64
        /// What the scan saw.
        var status: FileStatus
    }

    /// The digest of the root's ``TreeObject``.
    public let root: Digest
    /// Encodings of all directories.
    public let objects: [Digest: [UInt8]]
    /// One file for each content.
    public let files: [Digest: File]
    /// Names in the tree, directories too.
    public let entryCount: Int
    /// Files whose content had to be read, because the index did not know them.
    public let hashedCount: Int

    private let directory: FileDescriptor

    init(
        root: Digest, objects: [Digest: [UInt8]], files: [Digest: File], entryCount: Int, hashedCount: Int, directory: FileDescriptor
    ) {
        self.root = root
        self.objects = objects
        self.files = files
        self.entryCount = entryCount
        self.hashedCount = hashedCount
        self.directory = directory
    }

    /// Writes directory objects as one ``ContentPack``: all of the tree's by default.
    public func writeObjects(_ digests: [Digest]? = nil, to sink: some ByteSink) throws {
        let writer = try ContentPackWriter(sink)
        for digest in digests ?? objects.keys.sorted() {
            guard let object = objects[digest] else { throw FileTreeError.missingObject(digest) }
            try object.withUnsafeBytes { try writer.append(digest, $0) }
        }
        try writer.finish()
    }

    /// Writes the contents as one ``ContentPack`` in the order of their digests, with constant memory.
    ///
    /// Throws ``FileTreeError/changedWhileRead(path:)`` where a file is not what was scanned, after a part of the pack was written:
    /// what reads it sees an end that is none.
    public func writeContents(_ digests: some Sequence<Digest>, to sink: some ByteSink) throws {
        let writer = try ContentPackWriter(sink)
        for digest in digests.sorted() {
            guard let file = files[digest] else { throw FileTreeError.missingContent(digest) }
            let source: FileDescriptor
            do {
                source = try FileDescriptor(file.path, in: directory.number, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            } catch FileTreeError.system(_, let path, ENOENT) {
                throw FileTreeError.changedWhileRead(path: path)
            }
            guard try source.status().isUnchanged(since: file.status) else { throw FileTreeError.changedWhileRead(path: file.path) }
            do {
                try writer.append(digest, size: UInt64(file.size), from: source)
            } catch FileTreeError.malformed {
                throw FileTreeError.changedWhileRead(path: file.path)
            }
            guard try source.status().isUnchanged(since: file.status) else { throw FileTreeError.changedWhileRead(path: file.path) }
        }
        try writer.finish()
    }
}

extension ContextTree: TreeReader {
    /// The directory of a digest.
    public func object(_ digest: Digest) throws -> TreeObject {
        guard let bytes = objects[digest] else { throw FileTreeError.missingObject(digest) }
        return try TreeObject(decoding: bytes)
    }
}
