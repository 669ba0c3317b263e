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
    init(store: VolumeStore, key: VolumeKey, generation: Int, directory: String, names: [String]) {
        self.store = store
        self.key = key
        self.generation = generation
        self.names = names
        layers = names.map { "\(directory)/\($0)" }
    }

    deinit { store.unpin(names, of: key) }

    /// What is in it. Blocks when it has to be read.
    func manifest() throws -> VolumeManifest { try store.manifest(of: self) }

    /// Its files. Blocks.
    func files() throws -> GenerationFiles { try GenerationFiles(layers: layers) }
}
