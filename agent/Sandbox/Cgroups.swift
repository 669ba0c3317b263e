import CLinux
import Glibc

/// The cgroups of one sandbox's steps. Runtimes make them; not every one removes them in every layout.
struct Cgroups: Sendable {
    static let mount = "/sys/fs/cgroup"
    private static let top = "/farm"

    private let parent: String
    /// Where hierarchies are: one in the unified layout, one a controller in the older ones.
    private let hierarchies: [String]

    /// - Parameter name: of the sandbox; no other on this machine has it.
    init(name: String) {
        parent = "\(Self.top)/\(name)"
        hierarchies = [Self.mount] + Files.names(in: Self.mount).map { "\(Self.mount)/\($0)" }.filter { Files.isDirectory($0) }
    }

    /// Of a step, relative to the hierarchies.
    func path(of id: String) -> String { "\(parent)/\(id)" }

    /// Of a step with a ``MemoryGuard``: below the guard's own.
    func guardedPath(of id: String) -> String { "\(path(of: id))/\(Self.guarded)" }

    private static let guarded = "step"

    /// Removes those of a step that has ended. Blocking.
    func remove(_ id: String) {
        for hierarchy in hierarchies {
            remove("\(hierarchy)\(guardedPath(of: id))", in: hierarchy)
            remove("\(hierarchy)\(path(of: id))", in: hierarchy)
        }
    }

    /// Removes all that are empty. Blocking.
    func removeAll() {
        for hierarchy in hierarchies {
            for name in Files.names(in: hierarchy + parent) {
                remove("\(hierarchy)\(guardedPath(of: name))", in: hierarchy)
                remove("\(hierarchy)\(path(of: name))", in: hierarchy)
            }
            // What is above stays: another agent of this machine may be making its own in it at this moment.
            rmdir(hierarchy + parent)
        }
    }

    private func remove(_ path: String, in hierarchy: String) {
        if rmdir(path) == 0 || errno != ENOTEMPTY { return }
        // Where the unified hierarchy is hidden crun takes the memory there for it, and leaves a file for each container.
        if clinux_is_memory(hierarchy) == 1, hierarchy != Self.mount { Files.removeTree(path) }
    }
}
