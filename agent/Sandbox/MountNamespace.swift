import CLinux
import Glibc

/// The agent's own view of the machine's mounts.
public enum MountNamespace {
    private static let unified = Cgroups.mount + "/unified"
    /// A page for each container that runs.
    private static let hiddenSize = "4m"

    /// Leaves the machine's mount namespace, so that every mount the agent makes vanishes with it, even after SIGKILL.
    ///
    /// To be called first in `main`, while the process has one thread only. Needs root.
    public static func enter() throws(SandboxError) {
        try check(clinux_enter_mount_namespace(), "leave the machine's mount namespace (is this root?) at", "/")
        hideUnifiedHierarchy()
    }

    /// crun refuses the hybrid cgroup layout (v1 controllers beside a v2 `unified`); here nobody sees that it is hybrid.
    private static func hideUnifiedHierarchy() {
        var found = stat()
        guard stat(unified, &found) == 0, stat("/sys/fs/cgroup/cgroup.controllers", &found) != 0 else { return }
        // Where this fails the probe of the runtimes finds out, and takes one that does not mind.
        _ = clinux_tmpfs_mount(unified, "size=\(hiddenSize),mode=755")
    }
}
