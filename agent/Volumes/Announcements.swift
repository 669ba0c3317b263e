import FarmAPI
import Synchronization

/// The volumes of which this agent is publishing a generation just now.
///
/// The coordinator names this agent as a holder a moment before it has moved the generation into place: who asks for it in that moment
/// waits. Who asks for a generation that is not being published waits for nothing.
final class Announcements: Sendable {
    // A lock: asked by the peer server's tasks, set by the publisher's.
    private let pending = Mutex<[VolumeKey: Int]>([:])

    func begin(_ key: VolumeKey) { pending.withLock { $0[key, default: 0] += 1 } }

    func end(_ key: VolumeKey) {
        pending.withLock { pending in
            let count = pending[key, default: 1] - 1
            pending[key] = count > 0 ? count : nil
        }
    }

    func isPending(_ key: VolumeKey) -> Bool { pending.withLock { $0[key] != nil } }
}
