import FarmAPI
import Synchronization

/// The volumes of which the coordinator is giving this agent's new generation its number just now.
///
/// The coordinator names this agent as a holder a moment before it has moved the generation into place: who asks for it in that moment
/// waits, and what was here before must not be told as what is here. Who asks for a generation that is not being published waits for nothing.
final class Announcements: Sendable {
    private struct Pending {
        var count = 0
        var isToldAtEnd = false
    }

    // A lock: asked by the peer server's tasks, set by the publisher's.
    private let pending = Mutex<[VolumeKey: Pending]>([:])

    func begin(_ key: VolumeKey) { pending.withLock { $0[key, default: Pending()].count += 1 } }

    /// The generation is in place, or will not be.
    ///
    /// - Returns: whether the coordinator is to be told now what is here.
    func end(_ key: VolumeKey) -> Bool {
        pending.withLock { pending in
            guard var entry = pending[key] else { return false }
            entry.count -= 1
            pending[key] = entry.count > 0 ? entry : nil
            return entry.count == 0 && entry.isToldAtEnd
        }
    }

    func isPending(_ key: VolumeKey) -> Bool { pending.withLock { $0[key] != nil } }

    /// While a generation gets its number, has the coordinator told afterwards what is here.
    ///
    /// - Returns: false where none does.
    func tellAtEnd(_ key: VolumeKey) -> Bool {
        pending.withLock { pending in
            guard pending[key] != nil else { return false }
            pending[key]?.isToldAtEnd = true
            return true
        }
    }
}
