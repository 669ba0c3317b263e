import FarmAPI
import Glibc
import Synchronization
import TreeSync

/// The digests of directories of the newest generations here, for comparisons with holders that have no generation in common.
///
/// They are computed after a publication, in the background, from those of the generation before, and kept in a file beside the volume's
/// state. Of small volumes all that a comparison needs is in memory as well.
final class DigestKeeper: Sendable {
    /// Names in memory, of all volumes together, some 200 bytes each. A larger volume is read again for each comparison: those are
    /// rare, and memory is the builds'.
    static let entryLimit = 150_000
    /// The file in a volume's directory.
    static let fileName = "digests"

    private struct Kept {
        var key: VolumeKey
        var generation: Int
        var tree: ComparedTree
    }

    private let limit: Int
    private let kept = Mutex<[Kept]>([])

    /// - Parameter limit: names in memory.
    init(limit: Int) { self.limit = limit }

    /// A generation with its digests: those that are kept, else computed, which is linear in the volume. Blocks.
    ///
    /// - Parameter directory: the volume's, where the file is.
    func tree(of snapshot: VolumeSnapshot, directory: String) throws -> ComparedTree {
        if let kept = find(snapshot.key), kept.generation == snapshot.generation { return kept.tree }
        let manifest = try snapshot.manifest()
        let tree: ComparedTree
        if let saved = saved(in: directory), saved.generation == snapshot.generation {
            tree = ComparedTree(manifest: manifest, digests: saved.digests)
        } else {
            tree = ComparedTree(manifest)
        }
        remember(tree, snapshot)
        return tree
    }

    /// Computes and saves the digests of a generation, unless they are there. In the background: blocks.
    ///
    /// With a change from the generation before, only the directories in it are read.
    ///
    /// - Parameter delta: gives the change from an older generation to this one, where it is known.
    func keep(_ snapshot: VolumeSnapshot, directory: String, delta: (_ since: Int) throws -> DeltaManifest?) throws {
        if find(snapshot.key)?.generation == snapshot.generation { return }
        let digests: DirectoryDigests
        if snapshot.totals.files <= limit {
            let tree = try next(snapshot, directory, delta)
            remember(tree, snapshot)
            digests = tree.digests
        } else {
            kept.withLock { $0.removeAll { $0.key == snapshot.key } }
            let before = saved(in: directory)
            if before?.generation == snapshot.generation { return }
            if let before, before.generation > 0, let delta = try delta(before.generation) {
                digests = try before.digests.applying(delta, giving: try snapshot.index())
            } else {
                digests = try DirectoryDigests(reading: try GenerationCursor(try snapshot.tables()))
            }
        }
        let saved = SavedDigests(generation: snapshot.generation, digests: digests)
        try VolumeFiles.write(saved.encoded(), to: "\(directory)/\(Self.fileName)")
    }

    private func next(
        _ snapshot: VolumeSnapshot, _ directory: String, _ delta: (_ since: Int) throws -> DeltaManifest?
    ) throws -> ComparedTree {
        if let before = find(snapshot.key), before.generation > 0, let delta = try delta(before.generation) {
            return try before.tree.applying(delta)
        }
        return ComparedTree(try snapshot.manifest())
    }

    private func saved(in directory: String) -> SavedDigests? {
        (try? VolumeFiles.read("\(directory)/\(Self.fileName)", upTo: VolumeManifest.encodedLimit)).flatMap {
            try? SavedDigests(decoding: $0)
        }
    }

    /// Forgets a volume whose numbers begin anew.
    func forget(_ key: VolumeKey) { kept.withLock { $0.removeAll { $0.key == key } } }

    private func find(_ key: VolumeKey) -> Kept? { kept.withLock { kept in kept.first { $0.key == key } } }

    private func remember(_ tree: ComparedTree, _ snapshot: VolumeSnapshot) {
        guard tree.manifest.entries.count <= limit else { return }
        kept.withLock { kept in
            kept.removeAll { $0.key == snapshot.key }
            kept.append(Kept(key: snapshot.key, generation: snapshot.generation, tree: tree))
            var sum = kept.reduce(0) { $0 + $1.tree.manifest.entries.count }
            while sum > limit { sum -= kept.removeFirst().tree.manifest.entries.count }
        }
    }
}
