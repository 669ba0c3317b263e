import Digests
import Glibc

/// Files that a transfer brought which did not end: cut, killed, out of space. The next one takes them over.
///
/// What lies in its directory may be whole or not: each file is read and verified by its digest before it is moved into the new
/// transfer's, so that neither a crash nor the disk can make it believe in something that did not arrive.
public final class ArrivedContents: LocalContents {
    private let root: Descriptor
    private let puts: PutReader
    private let contents: DigestTable
    private var parentPath: TreePath?
    private var parent: Descriptor

    /// - Parameters:
    ///   - directory: of the transfer that did not end.
    ///   - record: what it was to bring.
    public init(directory: String, record: ManifestTable) throws {
        root = try Descriptor.directory(directory)
        parent = root
        let puts = DeltaPuts.table(record).reader()
        var contents = DigestTable(count: record.putCount)
        for position in 0..<record.putCount {
            guard let file = try puts.entry(position).file, file.size > 0 else { continue }
            _ = try contents.take(file.digest, position, at: puts.place(position), content: puts.content)
        }
        self.puts = puts
        self.contents = contents
    }

    override func make(_ entry: TreeEntry, with writer: TreeWriter) throws -> Bool {
        guard let wanted = entry.file, let found = find(wanted), found.size == wanted.size else { return false }
        guard try TreeReader.digest(of: found.file, found.old.path).digest == wanted.digest else { return false }
        try writer.adopt(entry, found.file, of: found.old, from: found.directory)
        taken.files += 1
        taken.bytes += wanted.size
        return true
    }

    /// Less is not worth a question of its own.
    private static let worthwhileBeginning: UInt64 = 1 << 20

    override func beginning(of entry: TreeEntry) -> (file: Descriptor, length: UInt64)? {
        guard let wanted = entry.file, let found = find(wanted), found.size < wanted.size else { return nil }
        let length = found.size - found.size % UInt64(ContentDigest.blockSize)
        return length >= Self.worthwhileBeginning ? (found.file, length) : nil
    }

    private struct Found {
        var old: TreeEntry
        var directory: Descriptor
        var file: Descriptor
        var size: UInt64
    }

    /// What lies where a content was to come, whole or not.
    private func find(_ wanted: FileContent) -> Found? {
        guard let position = try? contents.put(wanted.digest, content: puts.content), let old = try? puts.entry(position),
            let directory = directory(of: old.path),
            let file = try? directory.openBelow(Array(TreePaths.name(of: old.path)), O_RDONLY | O_NONBLOCK),
            let status = try? file.status(old.path), status.st_mode & S_IFMT == S_IFREG,
            // A link to a file of a generation: its metadata is not ours to set.
            status.st_nlink == 1
        else { return nil }
        return Found(old: old, directory: directory, file: file, size: UInt64(clamping: status.st_size))
    }

    private func directory(of path: TreePath) -> Descriptor? {
        let wanted = TreePaths.parent(of: path) ?? []
        if wanted == parentPath { return parent }
        guard let opened = wanted.isEmpty ? root : try? root.openBelow(wanted, O_RDONLY | O_DIRECTORY) else { return nil }
        parent = opened
        parentPath = wanted
        return opened
    }
}
