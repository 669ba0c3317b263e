import Digests
import Glibc

extension LayerStore {
    /// Removes a layer; nothing happens if it is not here. Throws ``LayerStoreError/inUse(_:)`` while it is pinned.
    public func remove(_ diffID: Digest) throws {
        let entry = try state.withLock { state -> Entry? in
            guard let entry = state.layers[diffID] else { return nil }
            guard entry.pins == 0 else { throw LayerStoreError.inUse(diffID) }
            state.layers[diffID] = nil
            return entry
        }
        guard let entry else { return }
        contents.forget(entry.name)
        try delete(entry.name)
    }

    /// Removes layers that are not pinned, the longest unused first, until the rest takes at most `bytes`.
    /// - Returns: what was removed.
    public func collect(keeping bytes: Int64) throws -> [Digest] {
        let candidates = state.withLock { state in
            let total = state.layers.values.reduce(0) { $0 + $1.bytes }
            var excess = total - bytes
            return state.layers.values.filter { $0.pins == 0 }.sorted { $0.lastUse < $1.lastUse }.prefix { entry in
                defer { excess -= entry.bytes }
                return excess > 0
            }.map(\.record.layer.diffID)
        }
        return try candidates.filter { diffID in
            do {
                try remove(diffID)
                return true
            } catch LayerStoreError.inUse {
                return false
            }
        }
    }
}
