import Digests
import Synchronization

/// Content digests of parts of stages and images that were computed here.
final class SelectionCache: Sendable {
    struct Key: Hashable, Sendable {
        /// Of the selection in the layers.
        var place: Digest
        var path: String
        var wildcards: Bool
    }

    /// A few hundred bytes each.
    private static let limit = 20_000
    private let known = Mutex<[Key: Digest]>([:])

    subscript(key: Key) -> Digest? {
        get { known.withLock { $0[key] } }
        set {
            known.withLock { known in
                if known.count >= Self.limit { known = [:] }
                known[key] = newValue
            }
        }
    }
}
