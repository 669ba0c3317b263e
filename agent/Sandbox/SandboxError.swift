import Glibc

/// What keeps a step from running; not what a step did itself.
public enum SandboxError: Error, Sendable, CustomStringConvertible {
    /// A system call failed.
    case system(action: String, path: String, error: Int32)
    /// overlayfs refused; `detail` has the kernel's words where it gave any.
    case overlay(target: String, error: Int32, detail: String)
    /// overlayfs does not work in a directory at all.
    case overlayUnusable(directory: String, reason: String)
    /// Nothing here is in memory for sure.
    case noMemoryDirectory(reason: String)
    /// More layers than this kernel can stack.
    case tooManyLayers(count: Int, limit: Int)
    /// No OCI runtime works here; one reason each.
    case noRuntime(tried: [String])
    /// The runtime could not start the step.
    case runtime(String)
    /// The step's user is not in the image, or its passwd or group file can't be used.
    case badUser(String)
    /// The step asks for what can't be had on any machine.
    case badStep(String)
    /// A mount's target or source can't be used.
    case badMount(target: String, reason: String)

    public var description: String {
        switch self {
        case .system(let action, let path, let error): "cannot \(action) \(path): \(Self.text(of: error))"
        case .overlay(let target, let error, let detail):
            "cannot mount an overlay at \(target): \(Self.text(of: error))\(detail.isEmpty ? "" : " (\(detail))")"
        case .overlayUnusable(let directory, let reason):
            "overlayfs does not work in \(directory): \(reason). Put the data directory on a local ext4, xfs or btrfs that is not itself an "
                + "overlay, and see that the kernel has overlayfs (modprobe overlay)"
        case .noMemoryDirectory(let reason): "this machine has no place in memory for secrets: \(reason)"
        case .tooManyLayers(let count, let limit): "\(count) layers are too many: overlayfs stacks at most \(limit) here"
        case .noRuntime(let tried):
            "no OCI runtime works on this machine: \(tried.joined(separator: "; ")). Install crun or runc, or name one by --runtime PATH"
        case .runtime(let message): "the OCI runtime could not start the step: \(message)"
        case .badUser(let message): message
        case .badStep(let message): "the step can't be started: \(message)"
        case .badMount(let target, let reason): "cannot mount at \(target): \(reason)"
        }
    }

    static func text(of error: Int32) -> String { String(cString: strerror(error)) }

    /// What a path of the step's or of its image makes of a system call, on whatever machine.
    private static let errorsOfPaths: Set<Int32> = [ENOTDIR, EISDIR, EEXIST, ELOOP, ENAMETOOLONG]

    /// True where the machine is at fault and another may do better.
    public var isOfMachine: Bool {
        switch self {
        case .badUser, .badMount, .badStep: false
        case .system(_, _, let error): !Self.errorsOfPaths.contains(error)
        default: true
        }
    }
}

/// Throws for a negative status as the functions of CLinux give it.
func check(_ status: Int32, _ action: String, _ path: String) throws(SandboxError) {
    if status < 0 { throw .system(action: action, path: path, error: -status) }
}

/// Throws errno for a result of -1.
func checkErrno(_ result: Int32, _ action: String, _ path: String) throws(SandboxError) {
    if result != 0 { throw .system(action: action, path: path, error: errno) }
}
