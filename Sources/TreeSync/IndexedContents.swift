import Digests
import Glibc

/// Files of published layers, of the same volume or others, found by their digests.
///
/// A file whose metadata agrees in everything gets another name (a hard link: layers never change); any other is copied. Both are read and
/// verified: what has been damaged on the disk must not become part of a new generation. A layer's manifest is opened when something is
/// found in it.
public final class IndexedContents: LocalContents {
    /// A file that may have a content.
    public struct Place: Sendable, Equatable {
        /// The layer's directory; its manifest is beside it.
        public var layer: String
        /// The position among the manifest's puts.
        public var position: Int

        public init(layer: String, position: Int) {
            self.layer = layer
            self.position = position
        }
    }

    private struct Layer {
        var root: Descriptor
        var count: Int
        var puts: PutReader
    }

    private let find: (Digest) -> [Place]
    private let table: (_ layer: String) throws -> ManifestTable
    // Nil for one that is not there any more.
    private var layers: [String: Layer?] = [:]

    /// Copies of one content in many layers are alike; when these few are damaged, the holder's is the better one.
    private static let attemptLimit = 3

    /// - Parameters:
    ///   - find: gives places for a digest; hints only.
    ///   - table: gives a layer's manifest.
    public init(find: @escaping (Digest) -> [Place], table: @escaping (_ layer: String) throws -> ManifestTable) {
        self.find = find
        self.table = table
    }

    override func make(_ entry: TreeEntry, with writer: TreeWriter) throws -> Bool {
        guard let wanted = entry.file else { return false }
        let candidates = find(wanted.digest).lazy.compactMap { self.open($0, wanted) }
        // A link costs nothing: one that agrees is looked for first.
        if wanted.linkGroup == 0 {
            for (source, file, status) in candidates.prefix(Self.attemptLimit)
            where source.hasInode(like: entry) && Self.agrees(status, entry) {
                guard (try? TreeReader.digest(of: file, entry.path).digest) == wanted.digest else { continue }
                guard (try? writer.link(entry, to: file)) != nil else { continue }
                return took(wanted)
            }
        }
        for (_, file, _) in candidates.prefix(Self.attemptLimit) {
            do {
                try writer.copy(entry, from: file)
                return took(wanted)
            } catch TreeSyncError.digestMismatch {
                continue
            }
        }
        return false
    }

    private func took(_ file: FileContent) -> Bool {
        taken.files += 1
        taken.bytes += file.size
        return true
    }

    /// Nil where it is not what the index took it for.
    private func open(_ place: Place, _ wanted: FileContent) -> (TreeEntry, Descriptor, stat)? {
        guard let layer = layer(place.layer), (0..<layer.count).contains(place.position),
            let source = try? layer.puts.entry(place.position), source.file?.digest == wanted.digest, source.file?.size == wanted.size,
            let file = try? layer.root.openBelow(source.path, O_RDONLY | O_NONBLOCK), let status = try? file.status(source.path),
            status.st_mode & S_IFMT == S_IFREG, UInt64(status.st_size) == wanted.size
        else { return nil }
        return (source, file, status)
    }

    private func layer(_ path: String) -> Layer? {
        if let known = layers[path] { return known }
        var layer: Layer?
        if let root = try? Descriptor.directory(path), let table = try? table(path) {
            layer = Layer(root: root, count: table.putCount, puts: DeltaPuts.table(table).reader())
        }
        layers[path] = .some(layer)
        return layer
    }

    /// Whether the file on disk is still what its manifest says.
    private static func agrees(_ status: stat, _ entry: TreeEntry) -> Bool {
        status.st_mode & 0o7777 == mode_t(entry.mode) && status.st_uid == entry.uid && status.st_gid == entry.gid
            && TreeReader.Item(status: status).modified == entry.modified
    }
}
