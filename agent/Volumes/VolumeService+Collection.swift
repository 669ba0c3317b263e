import BlockingIO
import FarmAPI

// Volumes that go to make room.
extension VolumeService {
    /// What volumes take on the disk: the newest generations here, and what is there beside them, see ``VolumeExtras``.
    public nonisolated var heldBytes: Int64 { store.held().reduce(store.extraBytes()) { $0 &+ store.size(of: $1.key).bytes } }

    /// Removes spares of large files, and what is kept of transfers that did not end, until so many bytes are free: they cost nothing but the
    /// time that they save.
    /// - Returns: the bytes that are free now.
    public func giveBackSpares(_ bytes: Int64) async -> Int64 {
        let store = store
        return (try? await BlockingPool.shared.run { store.giveBackSpares(bytes) }) ?? 0
    }

    /// Volumes here that no step uses, with their bytes.
    public func idle() -> [(key: VolumeKey, bytes: Int64)] {
        store.held().filter { !isMounted($0.key) }.map { ($0.key, store.size(of: $0.key).bytes) }
    }

    /// Removes a volume that the coordinator has agreed to lose here, unless something has begun with it meanwhile.
    /// - Returns: whether it is gone.
    public func collect(_ key: VolumeKey) async -> Bool {
        // Waits for nobody: who has it may be waiting for the room.
        let isGone = await lockedIfFree(key) {
            guard !isMounted(key) else {
                await announce(key)
                return false
            }
            await settle(key)
            do {
                try await BlockingPool.shared.run { [store] in try store.drop(key) }
                return true
            } catch {
                logger.warning("volume not removed", metadata: ["volume": "\(key.id)", "error": "\(error)"])
                return false
            }
        }
        if let isGone { return isGone }
        await announce(key)
        return false
    }
}
