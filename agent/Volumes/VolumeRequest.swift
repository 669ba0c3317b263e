import BuildPlan
import FarmAPI

/// What a step wants mounted for one cache mount.
public struct VolumeRequest: Sendable {
    public var key: VolumeKey
    public var sharing: Sharing
    /// Of the root directory, when the volume is new.
    public var mode: UInt16
    public var uid: UInt32
    public var gid: UInt32
    /// True: an empty volume that nobody shares and that is thrown away (`--no-cache-mounts`); the coordinator is not asked.
    public var fresh: Bool
    /// Gives the directory whose content a new volume starts with. Called only when the volume is new, at most once.
    public var seed: (@Sendable () async throws -> String)?

    public init(
        key: VolumeKey, sharing: Sharing, mode: UInt16 = CacheMount.defaultMode, uid: UInt32 = 0, gid: UInt32 = 0, fresh: Bool = false,
        seed: (@Sendable () async throws -> String)? = nil
    ) {
        self.key = key
        self.sharing = sharing
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.fresh = fresh
        self.seed = seed
    }
}

/// Volumes that a step has, until they are released.
public struct VolumeLease: Sendable {
    /// The lock's name, as the coordinator knows it.
    public let lock: String
    /// The mounted directories in the order of the requests.
    public let paths: [String]
    /// What came from other agents, on the wire.
    public let bytesReceived: Int64
    /// For the step's log: what went otherwise than wished, such as a head that nobody has any more.
    public let notes: [String]
    let uses: [VolumeUse]
    /// Whether the coordinator knows of it.
    let isLocked: Bool
}

/// One of a lease's volumes: which mount it holds.
enum VolumeUse: Sendable {
    /// The mount that all steps of this agent share; it is published when the last user leaves.
    case shared(VolumeKey)
    /// A copy of its own, which stands upon the volume's layers; thrown away.
    case fork(VolumeKey, OverlayMount, VolumeSnapshot?)
    /// An empty mount of its own, thrown away.
    case fresh(OverlayMount)
}

/// What the stage runner uses of volumes.
public protocol VolumeLeasing: Sendable {
    /// Brings the volumes up to date, waits for their locks, mounts them.
    ///
    /// Waits without a deadline while others hold a lock; cancelling the task ends the wait. On a throw nothing is left mounted or locked.
    ///
    /// - Parameters:
    ///   - requests: no key twice.
    ///   - assignment: the assignment for which they are needed.
    ///   - lock: a name that is new in the cluster, such as the assignment's and the step's number.
    func acquire(_ requests: [VolumeRequest], assignment: String, lock: String) async throws -> VolumeLease

    /// Publishes what was written, once the last user of each mount has left, and frees the locks.
    ///
    /// The locks are free also when it throws. Not ended by cancellation.
    ///
    /// - Returns: for the step's output: what is not saved, or otherwise than wished. The last user of a mount hears of it for all.
    /// - Throws: ``NotSaved`` where nothing of a volume could be saved.
    @discardableResult func release(_ lease: VolumeLease) async throws -> [String]

    /// Gives the volumes back without publishing what was written to them, also by other steps of this agent that share them now: it may
    /// be half of something. Else as ``release(_:)``.
    @discardableResult func discard(_ lease: VolumeLease) async throws -> [String]
}

/// What steps wrote to a volume is lost.
public struct NotSaved: Error, CustomStringConvertible {
    /// For the step's output; also of the lease's other volumes.
    public let notes: [String]

    public var description: String { notes.joined(separator: "; ") }
}
