import BuildPlan
import Digests
import Glibc
import Sandbox

/// Where an agent's files are.
struct DataDirectory: Sendable {
    let path: String
    /// Held as long as the agent lives: two on one directory would destroy each other's layers.
    private let lock: Int32

    var layers: String { path + "/layers" }
    var volumes: String { path + "/volumes" }
    /// Directory objects of contexts.
    var objects: String { path + "/context/objects" }
    /// Parts of contexts that were mounted.
    var binds: String { path + "/context/binds" }
    /// Where paths of the machine are mounted for running steps.
    var mounts: String { path + "/mounts" }
    /// What running steps need: emptied at each start.
    var work: String { path + "/work" }

    /// Part of the names of cgroups: several agents may share a machine.
    var tag: String { String(Digest.of(path).hex.prefix(12)) }

    /// Makes what is not there yet and takes the lock. Blocking.
    init(path: String) throws(AgentError) {
        try Self.make(path, parents: true)
        guard let resolved = realpath(path, nil) else { throw .file("find", path, errno) }
        defer { free(resolved) }
        self.path = String(cString: resolved)
        lock = open(self.path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .file("create", self.path + "/lock", errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { throw .inUse(self.path) }
        for directory in [layers, volumes, self.path + "/context", work, mounts] { try Self.make(directory, parents: false) }
    }

    /// Removes what running steps of an agent that was killed left. Blocking.
    func clean() {
        WorkFolder.empty(work)
        HostMount.removePlaces(in: mounts)
    }

    /// Bytes that are left on the disk.
    var freeBytes: Int64 {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return 0 }
        return Int64(clamping: UInt64(info.f_bavail).multipliedReportingOverflow(by: UInt64(info.f_frsize)).partialValue)
    }

    private static func make(_ path: String, parents: Bool) throws(AgentError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard parents, errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw .file("create", path, errno)
        }
        try make(String(path[..<slash]), parents: true)
        try make(path, parents: false)
    }
}

/// What keeps an agent from working.
public enum AgentError: Error, Sendable, CustomStringConvertible {
    /// A system call failed: what, on what, errno.
    case file(String, String, Int32)
    /// A file of the agent's identity can't be read.
    case missingFile(setting: String, path: String, error: Int32)
    /// Another agent runs on the data directory.
    case inUse(String)
    /// The disk was full while a step ran that failed.
    case diskFull(String)
    /// A platform that can't be emulated here, though the setting says so.
    case noEmulation(Platform, reason: String)
    /// A layer that nobody could give.
    case layer(Digest, reason: String)
    /// Something that the coordinator sent makes no sense.
    case badAnswer(String)

    public var description: String {
        switch self {
        case .file(let action, let path, let error): "cannot \(action) \(path): \(String(cString: strerror(error)))"
        case .missingFile(let setting, let path, let error):
            "\(path): \(String(cString: strerror(error))); issue it by `farm-coordinator enroll agent NAME`, or name it by --\(setting)"
        case .inUse(let path): "\(path) is in use by another agent; give each agent a data directory of its own"
        case .diskFull(let path):
            "the disk of \(path) was full while the step ran; what the step wrote to volumes there was thrown away"
        case .noEmulation(let platform, let reason): "the setting emulate has \(platform), which this machine can't run: \(reason)"
        case .layer(let digest, let reason): "layer \(digest) can't be brought here: \(reason)"
        case .badAnswer(let reason): "the coordinator sent what is not expected: \(reason)"
        }
    }
}
