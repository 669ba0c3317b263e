import Glibc

/// What this process uses of the machine, from /proc.
struct ProcessUse: Sendable {
    /// Resident memory in bytes.
    var residentBytes: Int64
    /// Seconds of CPU, of all threads.
    var cpuSeconds: Double
    var openFiles: Int

    /// Reads /proc. Blocks for microseconds.
    static func now() -> ProcessUse {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        let pages = (try? FileAccess.read("/proc/self/statm")).flatMap(\.self).flatMap {
            String(decoding: $0, as: UTF8.self).split(separator: " ").dropFirst().first.flatMap { Int64($0) }
        }
        return ProcessUse(
            residentBytes: (pages ?? 0) * Int64(sysconf(Int32(_SC_PAGESIZE))),
            cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            openFiles: countEntries("/proc/self/fd"))
    }

    private static func countEntries(_ path: String) -> Int {
        guard let directory = opendir(path) else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // "." and "..", and the descriptor of the listing itself.
        return max(0, count - 3)
    }
}
