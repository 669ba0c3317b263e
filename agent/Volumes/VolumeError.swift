import FarmAPI
import Glibc
import TreeSync

/// Why a volume can't be used.
public enum VolumeError: Error, Sendable, CustomStringConvertible {
    case system(operation: String, path: String, code: Int32)
    /// A request that names one volume twice.
    case requestedTwice(VolumeKey)
    /// A peer that answered with an error.
    case peerRefused(agent: String, status: Int, message: String)
    /// A peer that answers as many others as it can just now: it can be asked again.
    case peerBusy(agent: String, message: String)
    /// A peer that stopped in the middle of a transfer, or trickled.
    case peerTooSlow(Duration)
    /// The disk has not the room for a generation that was to be brought here.
    case noRoom(VolumeKey, needed: Int64, free: Int64)
    /// More names than a volume may have.
    case tooManyEntries(VolumeKey, count: Int)
    /// Names, and what is said of them, that take more bytes than a volume's manifest may have.
    case manifestTooLarge(VolumeKey, bytes: Int, limit: Int)
    /// Something went on meanwhile that makes this impossible; the caller may try again.
    case conflict(String)
    /// Users of the mount did not leave.
    case busy(path: String)

    /// Whether the disk is too small for what was to be brought.
    public var isNoRoom: Bool { if case .noRoom = self { true } else { false } }

    /// Whether another agent has only to be asked again later.
    public var isBusyPeer: Bool { if case .peerBusy = self { true } else { false } }

    static func last(_ operation: String, _ path: String) -> VolumeError { .system(operation: operation, path: path, code: errno) }

    public var description: String {
        switch self {
        case .system(let operation, let path, let code): TreeSyncError.text(of: operation, path, code)
        case .requestedTwice(let key): "the volume \(key.id) is asked for twice by one step"
        case .peerRefused(let agent, let status, let message): "agent \(agent) answered with status \(status): \(message)"
        case .peerBusy(let agent, let message): "agent \(agent) is busy: \(message)"
        case .peerTooSlow(let window): "the other agent sent next to nothing for \(window.components.seconds) s"
        case .noRoom(let key, let needed, let free):
            "volume \(key.id) needs \(needed >> 20) MiB here, and the disk has \(free >> 20) MiB: give this agent more room"
        case .tooManyEntries(let key, let count):
            "the volume \(key.id) has \(count) names, more than the \(VolumeManifest.entryLimit) that a volume may have: what this step wrote "
                + "to it is given up; let the build clean it, or remove it by 'farm volumes rm'"
        case .manifestTooLarge(let key, let bytes, let limit):
            "the names of volume \(key.id) and their attributes take \(bytes) bytes, more than the \(limit) that a volume's may: what this "
                + "step wrote to it is given up; let the build clean it, or remove it by 'farm volumes rm'"
        case .conflict(let what): what
        case .busy(let path): "\(path) is still in use after its last step"
        }
    }
}
