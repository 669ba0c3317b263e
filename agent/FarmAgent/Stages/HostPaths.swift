import Glibc

/// Paths of this machine that its operator lets builds mount.
struct HostPaths: Sendable {
    /// Absolute and clean; each with all that is below it.
    let allowed: [String]

    /// Something of the machine that is open, so that it stays what it was when it was checked.
    final class Source: Sendable {
        private let descriptor: Int32
        /// A path that leads to it as long as this object lives, whatever happens to the names.
        var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

        fileprivate init(descriptor: Int32) { self.descriptor = descriptor }
        deinit { close(descriptor) }
    }

    /// Opens a path. Links are followed, but what is there in the end must be on the list. Blocks.
    func open(_ path: String) throws -> Source {
        // Opened first and looked at then: a link that is changed meanwhile leads nowhere else.
        let descriptor = Glibc.open(path, O_PATH_FLAG | O_CLOEXEC)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            // What is there and what is not is nobody's business off the list.
            guard isAllowed(path) else { throw refusal(path) }
            throw StepFailure(message: "the host path \(path) can't be opened on this agent: \(reason)")
        }
        let source = Source(descriptor: descriptor)
        guard let actual = realpath("/proc/self/fd/\(descriptor)", nil) else { throw refusal(path) }
        defer { free(actual) }
        guard isAllowed(String(cString: actual)) else { throw refusal(path) }
        return source
    }

    private func isAllowed(_ path: String) -> Bool {
        allowed.contains { prefix in
            guard let actual = realpath(prefix, nil) else { return false }
            defer { free(actual) }
            let directory = String(cString: actual)
            return path == directory || path.hasPrefix(directory == "/" ? "/" : directory + "/")
        }
    }

    private func refusal(_ path: String) -> StepFailure {
        StepFailure(
            message:
                "the host path \(path) is not, or leads out of, what this agent lets builds mount: its operator can add it to the setting "
                + "host-paths")
    }

    /// `a,b`: absolute paths.
    static func parse(_ text: String) -> [String]? {
        var paths: [String] = []
        for part in text.split(separator: ",") {
            let names = part.split(separator: "/")
            guard part.first == "/", !names.contains(where: { $0 == "." || $0 == ".." }), !part.utf8.contains(0) else { return nil }
            paths.append("/" + names.joined(separator: "/"))
        }
        return paths
    }
}

// Swift's Glibc does not have it.
private let O_PATH_FLAG: Int32 = 0o10000000
