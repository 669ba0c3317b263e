import FarmAPI
import Glibc
import Synchronization
import TreeSync

/// The digests of directories of the newest generations here, for comparisons with holders that have no generation in common.
///
/// They are computed after a publication, in the background, from those of the generation before; kept in memory, and in a file beside the
/// volume's state for the next start.
final class DigestKeeper: Sendable {
    /// Names in memory, of all volumes together, some 200 bytes each; the newest volume's always.
    static let entryLimit = 500_000
    /// The file in a volume's directory.
    static let fileName = "digests"

    private struct Kept {
        var key: VolumeKey
        var generation: Int
        var tree: ComparedTree
    }

    private let kept = Mutex<[Kept]>([])

    /// A generation with its digests: those that are kept, else computed, which is linear in the volume. Blocks.
    ///
    /// - Parameter directory: the volume's, where the file is.
    func tree(of snapshot: VolumeSnapshot, directory: String) throws -> ComparedTree {
        if let kept = find(snapshot.key), kept.generation == snapshot.generation { return kept.tree }
        let manifest = try snapshot.manifest()
        let digests: DirectoryDigests
        if let file = try? VolumeFiles.read("\(directory)/\(Self.fileName)", upTo: VolumeManifest.encodedLimit),
            let saved = try? SavedDigests(decoding: file), saved.generation == snapshot.generation
        {
            digests = saved.digests
        } else {
            digests = DirectoryDigests(of: manifest)
        }
        let tree = ComparedTree(manifest: manifest, digests: digests)
        remember(tree, snapshot)
        return tree
    }

    /// Computes and saves the digests of a generation, unless they are there. In the background: blocks.
    ///
    /// - Parameter delta: gives the change from an older generation to this one, where it is known.
    func keep(_ snapshot: VolumeSnapshot, directory: String, delta: (_ since: Int) throws -> DeltaManifest?) throws {
        let before = find(snapshot.key)
        guard before?.generation != snapshot.generation else { return }
        let tree: ComparedTree
        if let before, before.generation > 0, let delta = try delta(before.generation) {
            tree = before.tree.applying(delta)
        } else {
            tree = ComparedTree(try snapshot.manifest())
        }
        remember(tree, snapshot)
        let saved = SavedDigests(generation: snapshot.generation, digests: tree.digests)
        try VolumeFiles.write(saved.encoded(), to: "\(directory)/\(Self.fileName)")
    }

    /// Forgets a volume whose numbers begin anew.
    func forget(_ key: VolumeKey) { kept.withLock { $0.removeAll { $0.key == key } } }

    private func find(_ key: VolumeKey) -> Kept? { kept.withLock { kept in kept.first { $0.key == key } } }

    private func remember(_ tree: ComparedTree, _ snapshot: VolumeSnapshot) {
        kept.withLock { kept in
            kept.removeAll { $0.key == snapshot.key }
            kept.append(Kept(key: snapshot.key, generation: snapshot.generation, tree: tree))
            var sum = kept.reduce(0) { $0 + $1.tree.manifest.entries.count }
            while sum > Self.entryLimit, kept.count > 1 { sum -= kept.removeFirst().tree.manifest.entries.count }
        }
    }
}
