import Digests
import FarmAPI
import Glibc
import Synchronization
import TreeSync

/// The contents of all layers on this agent by their digests, for each project apart: what one project has is never looked for by
/// another, so that nobody learns by a transfer's size what others have.
///
/// Kept up in the background after each publication, as a file beside each layer (`g….index`), and read at the start.
final class ContentIndex: Sendable {
    static let suffix = ".index"
    /// Files in memory, twelve bytes each: 48 MiB. Layers beyond that are not indexed.
    static let fileLimit = 4 << 20
    /// Twelve bytes for each name that a manifest has room for, and some.
    private static let lengthLimit = 64 << 20

    private struct State {
        var projects: [String: [String: DigestIndex]] = [:]
        var count = 0
    }

    private let state = Mutex(State())
    private let limit: Int

    /// - Parameter limit: files in memory.
    init(limit: Int) { self.limit = limit }

    /// Whether a layer of so many names fits in. Asked before it is read: one that does not would be read again after each publication.
    func hasRoom(for names: Int) -> Bool { state.withLock { $0.count + names <= limit } }

    /// Whether a layer's contents are indexed.
    func contains(_ layer: String, of project: String) -> Bool { state.withLock { $0.projects[project]?[layer] != nil } }

    /// Takes the index that is beside a layer, if it is there and whole. Blocks.
    func load(_ layer: String, of project: String) {
        guard let bytes = try? VolumeFiles.read(layer + Self.suffix, upTo: Self.lengthLimit), let index = try? DigestIndex(decoding: bytes)
        else { return }
        insert(index, layer, project)
    }

    /// Makes a layer's index, in memory and on disk. Blocks; linear in the layer.
    func make(_ layer: String, of project: String, _ table: ManifestTable) throws {
        let index = try DigestIndex(of: table)
        try VolumeFiles.write(index.encoded(), to: layer + Self.suffix)
        insert(index, layer, project)
    }

    private func insert(_ index: DigestIndex, _ layer: String, _ project: String) {
        state.withLock { state in
            guard state.count + index.count <= limit else { return }
            if let old = state.projects[project, default: [:]].updateValue(index, forKey: layer) { state.count -= old.count }
            state.count += index.count
        }
    }

    /// Forgets a layer that is being removed.
    func remove(_ layer: String, of project: String) {
        state.withLock { state in
            if let old = state.projects[project]?.removeValue(forKey: layer) { state.count -= old.count }
        }
        unlink(layer + Self.suffix)
    }

    /// Forgets all layers of a volume's directory.
    func removeAll(in directory: String, of project: String) {
        let layers = state.withLock { $0.projects[project]?.keys.filter { $0.hasPrefix(directory + "/") } ?? [] }
        for layer in layers { remove(layer, of: project) }
    }

    /// For one transfer: what the project has here. Looks at each layer of the project, in a few steps each.
    ///
    /// - Parameter table: gives a layer's manifest.
    func contents(of project: String, table: @escaping (_ layer: String) throws -> ManifestTable) -> IndexedContents {
        let layers = state.withLock { $0.projects[project] ?? [:] }
        return IndexedContents { digest in
            layers.flatMap { layer, index in index.places(of: digest).map { IndexedContents.Place(layer: layer, position: $0) } }
        } table: {
            try table($0)
        }
    }
}
