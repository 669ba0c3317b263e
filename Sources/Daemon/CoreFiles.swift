import Glibc

/// A process's memory on a disk, after a crash.
public enum CoreFiles {
    /// Makes none of this process: what it holds for builds (secrets) must not reach a disk. To be called at the start.
    ///
    /// The soft limit alone: who runs a step may raise its own again.
    public static func forbid() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = 0
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
    }
}
