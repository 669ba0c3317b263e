import Digests

/// The Merkle digests of a generation: one for each directory, of all that is in it at any depth.
///
/// Two directories with the same digest have the same names with the same metadata and contents below them, so that two generations without
/// a common history are compared by descending only where they differ. The directory's own metadata is not in its digest but in the one
/// of the directory above, so that a directory that was moved keeps its digest. `docs/formats-volumes.md` has the exact bytes.
public struct DirectoryDigests: Sendable, Equatable {
    private var digests: [TreePath: Digest]

    /// Of a generation that has nothing, not even a root.
    public init() { digests = [:] }

    /// Linear in the manifest; memory for as many hashes as directories are nested.
    public init(of manifest: VolumeManifest) {
        var walk = Walk()
        for entry in manifest.entries { walk.pass(entry) }
        digests = walk.end()
    }

    /// The same of all that a cursor goes through.
    public init(reading cursor: GenerationCursor) throws {
        var walk = Walk()
        while try cursor.advance() { walk.pass(try cursor.entry()) }
        digests = walk.end()
    }

    /// Goes through a generation in tree order.
    private struct Walk {
        private var digests: [TreePath: Digest] = [:]
        private var open: [OpenDirectory] = []

        mutating func pass(_ entry: TreeEntry) {
            while let top = open.last, !TreePaths.isBelow(entry.path, top.entry.path) { close() }
            if entry.isDirectory { open.append(OpenDirectory(entry)) } else { open.last?.add(entry, digest: nil) }
        }

        private mutating func close() {
            let directory = open.removeLast()
            let digest = directory.digest()
            digests[directory.entry.path] = digest
            open.last?.add(directory.entry, digest: digest)
        }

        mutating func end() -> [TreePath: Digest] {
            while !open.isEmpty { close() }
            return digests
        }
    }

    /// The digests of the generation after this one: only directories that the delta names are computed anew.
    ///
    /// - Parameter following: this generation with the delta applied.
    public func applying(_ delta: DeltaManifest, giving following: any GenerationLookup) throws -> DirectoryDigests {
        var next = self
        for path in delta.deletions { next.digests[path] = nil }
        for entry in delta.puts where !entry.isDirectory && next.digests.removeValue(forKey: entry.path) != nil {
            // A delta need not name what a file in a directory's place hides.
            next.digests = next.digests.filter { !TreePaths.isBelow($0.key, entry.path) }
        }
        // From the last to the first: a directory after everything in it.
        for entry in delta.puts.reversed() where entry.isDirectory {
            guard try following.entry(entry.path) != nil else { continue }
            let directory = OpenDirectory(entry)
            try following.eachChild(of: entry.path) { child in
                directory.add(child, digest: child.isDirectory ? next.digests[child.path] : nil)
            }
            next.digests[entry.path] = directory.digest()
        }
        return next
    }

    init(unchecked digests: [TreePath: Digest]) { self.digests = digests }

    /// Of a directory; nil where there is none.
    public subscript(path: TreePath) -> Digest? { digests[path] }

    /// How many directories there are.
    public var count: Int { digests.count }

    /// All of them, in no order.
    var all: [TreePath: Digest] { digests }

    /// The digest of the whole generation, the root's own metadata with it.
    public func treeDigest(of manifest: VolumeManifest) -> Digest {
        guard let root = manifest.entries.first, let digest = digests[[]] else { return Digest.of(Self.treeMagic) }
        var encoder = ByteEncoder()
        encoder.raw(Self.treeMagic)
        encoder.child(root, digest: digest)
        return Digest.of(encoder.bytes)
    }

    static let treeMagic = Array("FVR1".utf8)
    static let directoryMagic = Array("FVT1".utf8)
    /// Of every directory that has nothing in it.
    static let empty = Digest.of(directoryMagic)
}

extension ByteEncoder {
    /// An entry as its directory sees it: its name, its metadata, and a directory's digest.
    mutating func child(_ entry: TreeEntry, digest: Digest?) {
        string(TreePaths.name(of: entry.path))
        self.entry(entry)
        if let digest { digest.withUnsafeBytes { raw($0) } }
    }
}

/// A directory whose digest is being computed.
private final class OpenDirectory {
    let entry: TreeEntry
    // Nil once the digest was taken.
    private var hasher: SHA256Hasher?
    private var pending = ByteEncoder()

    /// Enough to spare most calls of the hash, little enough for deep trees.
    private static let flushSize = 16 << 10

    init(_ entry: TreeEntry) {
        self.entry = entry
        pending.raw(DirectoryDigests.directoryMagic)
    }

    func add(_ child: TreeEntry, digest: Digest?) {
        pending.child(child, digest: digest)
        if pending.bytes.count >= Self.flushSize { flush() }
    }

    private func flush() {
        if hasher == nil { hasher = SHA256Hasher() }
        hasher?.update(pending.bytes)
        pending = ByteEncoder()
    }

    func digest() -> Digest {
        // Most directories fit into one piece.
        if hasher == nil { return Digest.of(pending.bytes) }
        flush()
        return hasher.take()?.finalize() ?? Digest.of(pending.bytes)
    }
}
