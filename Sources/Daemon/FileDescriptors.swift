import Glibc

/// How many files and connections a process may have open.
public enum FileDescriptors {
    /// Raises the soft limit to the hard one: shells and services give 1,024 often, which is less than a farm has connections.
    /// - Returns: the limit that holds now.
    @discardableResult
    public static func raiseLimit() -> Int {
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(files, &limit) == 0 else { return 0 }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            setrlimit(files, &limit)
            getrlimit(files, &limit)
        }
        return Int(clamping: limit.rlim_cur)
    }
}
