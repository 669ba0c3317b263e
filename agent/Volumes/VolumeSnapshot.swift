import FarmAPI
import TreeSync

/// A published generation, kept on disk as long as this object lives, whatever is published, merged or dropped meanwhile.
final class VolumeSnapshot: Sendable {
    let key: VolumeKey
    let generation: Int
    /// The directories of its stack, the lowest first.
    let layers: [String]
    private let names: [String]
    private let store: VolumeStore

    /// The names have been pinned for it by the store.
    init(
        store: VolumeStore, key: VolumeKey, generation: Int, directory: String, names: [String], totals: VolumeTotals, sparseBytes: UInt64
    ) {
        self.store = store
        self.key = key
        self.generation = generation
        self.names = names
        self.totals = totals
        self.sparseBytes = sparseBytes
        layers = names.map { "\(directory)/\($0)" }
    }

    deinit { store.unpin(names, of: key) }

    /// Looks single names up; for one operation. Blocks when a manifest has to be read that was not looked into before.
    func index() throws -> GenerationIndex { GenerationIndex(try tables()) }

    /// Its sums.
    let totals: VolumeTotals
    /// Of its large sparse files, each inode once.
    let sparseBytes: UInt64

    /// Its layers' manifests, for looks and for going through them. Blocks in the same way.
    func tables() throws -> [ManifestTable] { try store.tables(of: self) }

    /// All that is in it, decoded. Blocks, linear in its names: not for when somebody waits.
    func manifest() throws -> VolumeManifest { try VolumeManifest(reading: try GenerationCursor(try tables())) }

    /// Its files. Blocks.
    func files() throws -> GenerationFiles { try GenerationFiles(layers: layers) }
}
