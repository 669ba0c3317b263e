import BlockingIO
import Synchronization

/// How many requests of other agents an agent answers at the same time. Each takes a thread from its first to its last byte.
public struct ServingLimits: Sendable {
    /// Volumes that steps wait for.
    public var steps = 32
    /// Layers.
    public var layers = 32
    /// Volumes that are copied in the background: slow on purpose, so that a few keep their threads for long.
    public var copies = 4

    public init() {}
}

/// Places for requests of other agents, by what they are for, so that what may wait never takes the threads of what is waited for.
///
/// Nobody queues here: where no place is free, who asks hears so at once and can ask another holder.
final class ServingPlaces: Sendable {
    enum Kind: Hashable, Sendable { case steps, layers, copies }

    /// A place, taken until ``leave()``, or until nobody has it any more: a request may end before its answer begins.
    final class Place: Sendable {
        /// Threads for requests of this kind.
        let pool: BlockingPool
        private let kind: Kind
        private let places: ServingPlaces
        private let isTaken = Mutex(true)

        fileprivate init(_ kind: Kind, _ places: ServingPlaces) {
            self.kind = kind
            self.places = places
            pool = ServingPlaces.pool(of: kind)
        }

        deinit { leave() }

        func leave() {
            let wasTaken = isTaken.withLock { isTaken in
                defer { isTaken = false }
                return isTaken
            }
            if wasTaken { places.taken.withLock { $0[kind, default: 0] -= 1 } }
        }
    }

    // Threads of their own for what peers ask of this agent: they must not wait behind what this agent asks of its peers.
    private static let stepPool = BlockingPool(limit: ServingLimits().steps)
    private static let layerPool = BlockingPool(limit: ServingLimits().layers)
    private static let copyPool = BlockingPool(limit: ServingLimits().copies)

    private let limits: ServingLimits
    private let taken = Mutex<[Kind: Int]>([:])
    private let refused = Mutex(0)

    init(limits: ServingLimits) { self.limits = limits }

    /// Takes a place; nil where none is free.
    func take(_ kind: Kind) -> Place? {
        let isFree = taken.withLock { taken in
            guard taken[kind, default: 0] < limit(of: kind) else { return false }
            taken[kind, default: 0] += 1
            return true
        }
        if !isFree { refused.withLock { $0 += 1 } }
        return isFree ? Place(kind, self) : nil
    }

    /// How many got no place so far.
    var refusals: Int { refused.withLock { $0 } }

    /// Places of a kind that are taken now.
    func taken(_ kind: Kind) -> Int { taken.withLock { $0[kind, default: 0] } }

    private func limit(of kind: Kind) -> Int {
        switch kind {
        case .steps: limits.steps
        case .layers: limits.layers
        case .copies: limits.copies
        }
    }

    private static func pool(of kind: Kind) -> BlockingPool {
        switch kind {
        case .steps: stepPool
        case .layers: layerPool
        case .copies: copyPool
        }
    }
}
