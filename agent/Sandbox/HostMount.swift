import CLinux
import Glibc

/// Something of the machine, mounted at a place of the agent's own. Blocking; the one who mounted it calls ``unmount()``.
///
/// A runtime mounts what is in its own mount namespace, which is a copy of the agent's: an open file of the agent's is not, a mount is.
public struct HostMount: Sendable {
    /// Where it is mounted.
    public let path: String

    /// - Parameters:
    ///   - source: what is mounted, without what is mounted in it.
    ///   - path: nothing is there yet. It is never removed with what is in it: a mount that could not be undone must not cost the machine
    ///     its files.
    public init(of source: String, at path: String) throws(SandboxError) {
        self.path = path
        if Files.isDirectory(source) { try Files.makeDirectory(path) } else { try Files.write([], to: path) }
        let status = clinux_bind_mount(source, path, 0)
        if status < 0 {
            removePlace()
            throw .system(action: "mount", path: source, error: -status)
        }
    }

    /// Takes it away.
    public func unmount() {
        if clinux_detach(path) == 0 { removePlace() }
    }

    private func removePlace() { if rmdir(path) != 0 { unlink(path) } }

    /// Removes the places that an agent that was killed left in a directory: its mounts are gone with it.
    public static func removePlaces(in directory: String) {
        for name in Files.names(in: directory) where rmdir("\(directory)/\(name)") != 0 { unlink("\(directory)/\(name)") }
    }
}
