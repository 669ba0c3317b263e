import BlockingIO
import FarmAPI

// Volumes that go to make room.
extension VolumeService {
    /// Bytes of the newest generations here.
    public nonisolated var heldBytes: Int64 { store.held().reduce(0) { $0 &+ store.size(of: $1.key).bytes } }

    /// Volumes here that no step uses, with their bytes.
    public func idle() -> [(key: VolumeKey, bytes: Int64)] {
        store.held().filter { !isMounted($0.key) }.map { ($0.key, store.size(of: $0.key).bytes) }
    }

    /// Removes a volume that the coordinator has agreed to lose here, unless a step has got it meanwhile.
    /// - Returns: whether it is gone.
    public func collect(_ key: VolumeKey) async -> Bool {
        await locked(key) {
            guard !isMounted(key) else {
                await announce(key, store.generation(of: key))
                return false
            }
            do {
                try await BlockingPool.shared.run { [store] in try store.drop(key) }
                return true
            } catch {
                logger.warning("volume not removed", metadata: ["volume": "\(key.id)", "error": "\(error)"])
                return false
            }
        }
    }
}
