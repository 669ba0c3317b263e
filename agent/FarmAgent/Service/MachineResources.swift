/// Processors and memory that this process may have: the machine's, or less where a cgroup that it is in says so.
struct MachineResources: Equatable {
    var cpus: Double
    /// Bytes.
    var memory: Int64

    private static let mount = "/sys/fs/cgroup"

    /// - Parameter read: the text of a file of /proc or /sys; nil where there is none.
    init(read: (String) -> String?) {
        cpus = Self.processors(read("/proc/self/status") ?? "")
        memory = Self.total(read("/proc/meminfo") ?? "")
        let groups = Self.groups(read("/proc/self/cgroup") ?? "")
        if read(Self.mount + "/cgroup.controllers") != nil {
            for directory in Self.upward(groups[""] ?? "/", from: Self.mount) {
                if let limit = read(directory + "/cpu.max").flatMap(Self.quota(unified:)) { cpus = min(cpus, limit) }
                if let limit = read(directory + "/memory.max").flatMap(Self.bytes) { memory = min(memory, limit) }
            }
        } else {
            for directory in Self.upward(groups["cpu"] ?? "/", from: Self.mount + "/cpu") {
                if let quota = read(directory + "/cpu.cfs_quota_us").flatMap(Self.bytes),
                    let period = read(directory + "/cpu.cfs_period_us").flatMap(Self.bytes)
                {
                    cpus = min(cpus, Double(quota) / Double(period))
                }
            }
            for directory in Self.upward(groups["memory"] ?? "/", from: Self.mount + "/memory") {
                if let limit = read(directory + "/memory.limit_in_bytes").flatMap(Self.bytes) { memory = min(memory, limit) }
            }
        }
    }

    /// `Cpus_allowed_list:	0-3,8` → 5; at least 1.
    private static func processors(_ status: String) -> Double {
        var count = 0
        for range in value("Cpus_allowed_list", in: status).split(separator: ",") {
            let ends = range.split(separator: "-").compactMap { Int($0) }
            if let first = ends.first, let last = ends.last, last >= first { count += last - first + 1 }
        }
        return Double(max(1, count))
    }

    /// `MemTotal:  24607516 kB`
    private static func total(_ information: String) -> Int64 {
        let kilobytes = value("MemTotal", in: information).split(separator: " ").first.flatMap { Int64($0) } ?? 0
        return kilobytes.multipliedReportingOverflow(by: 1024).partialValue
    }

    private static func value(_ name: String, in text: String) -> Substring {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return (line?.dropFirst(name.count + 1) ?? "").drop { $0 == " " || $0 == "\t" }
    }

    /// `4:memory:/a` → memory: /a; the unified hierarchy has no name.
    private static func groups(_ text: String) -> [String: String] {
        var groups: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for controller in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                groups[String(controller)] = String(parts[2])
            }
        }
        return groups
    }

    /// The directory of a cgroup and of all that are above it. In a container the path may be one of the machine's: then only the top is there.
    private static func upward(_ path: String, from top: String) -> [String] {
        var parts = path.split(separator: "/")
        var directories: [String] = []
        while !parts.isEmpty {
            directories.append(top + "/" + parts.joined(separator: "/"))
            parts.removeLast()
        }
        return directories + [top]
    }

    /// `200000 100000` → 2; nil for `max`.
    private static func quota(unified text: String) -> Double? {
        let words = text.split { $0 == " " || $0 == "\n" }
        guard words.count == 2, let quota = Double(words[0]), let period = Double(words[1]), quota > 0, period > 0 else { return nil }
        return quota / period
    }

    /// Nil for `max`, and for -1, which is no limit too.
    private static func bytes(_ text: String) -> Int64? {
        Int64(text.prefix { $0 != "\n" }).flatMap { $0 > 0 ? $0 : nil }
    }
}
