import CLinux
import Glibc

/// A directory in memory for what must not reach a disk: secrets, and the bundles of steps that have one as a variable.
///
/// It is on the machine's /dev/shm and not on a mount of the agent's own, so that an agent that was killed finds it again, ends what still
/// runs from it and empties it. Memory may be swapped out where the machine swaps without encryption; nothing here can prevent that.
public struct MemoryDirectory: Sendable {
    /// Absolute.
    public let path: String

    static let parent = "/dev/shm"
    private static let mode: mode_t = 0o700

    /// Makes it, or takes the one that an earlier process of this name left. Blocking.
    ///
    /// - Parameter name: no other agent on this machine has it.
    /// - Throws: where /dev/shm is no memory, or somebody else has made a directory of that name.
    public init(name: String) throws(SandboxError) {
        path = "\(Self.parent)/farm-\(name)"
        guard clinux_is_memory(Self.parent) == 1 else { throw .noMemoryDirectory(reason: "\(Self.parent) is no tmpfs") }
        if mkdir(path, Self.mode) != 0, errno != EEXIST { throw .system(action: "create", path: path, error: errno) }
        var found = stat()
        guard lstat(path, &found) == 0, found.st_mode & S_IFMT == S_IFDIR, found.st_uid == geteuid(), found.st_mode & 0o077 == 0 else {
            throw .noMemoryDirectory(reason: "\(path) was made by somebody else; remove it")
        }
    }

    /// Writes a file.
    /// - Returns: its path.
    public func write(_ bytes: [UInt8], name: String, mode: UInt16, uid: UInt32, gid: UInt32) throws(SandboxError) -> String {
        let file = "\(path)/\(name)"
        try Files.write(bytes, to: file, mode: Self.mode & 0o600)
        guard chown(file, uid, gid) == 0, chmod(file, mode_t(mode)) == 0 else {
            throw .system(action: "set the owner and mode of", path: file, error: errno)
        }
        return file
    }

    /// Removes a file or directory of it. Blocking.
    public func remove(_ name: String) { Files.removeTree("\(path)/\(name)") }

    /// Removes it with everything in it. Blocking.
    public func remove() { Files.removeTree(path) }

    /// Removes everything in it but one name. Blocking.
    func empty(but kept: String) {
        for name in Files.names(in: path) where name != kept { remove(name) }
    }
}
