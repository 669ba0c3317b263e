import CLinux
import Glibc

/// Holds a step to its memory, and tells afterwards whether it went over it.
///
/// The runtime removes the step's cgroup as soon as the command has ended, and what the kernel counted there with it. So the step's cgroup is
/// below one of ours that stays until it has been asked. In the unified layout that one counts what happens below it, and the runtime sets
/// the limit; in the older one nothing is counted upward, so the limit is ours, and the kernel rings a bell when it is reached and nothing
/// can be freed.
final class MemoryGuard: Sendable {
    private enum Layout {
        /// The file of counts.
        case unified(events: String)
        /// The bell: an event descriptor, owned.
        case controller(bell: Int32)
    }

    /// The older layout's hierarchy of the memory controller.
    private static let controller = Cgroups.mount + "/memory"
    /// A few lines of a word and a number.
    private static let eventsLimit = 4096

    /// Bytes.
    let limit: UInt64
    private let layout: Layout

    /// True where the runtime is not to set the limit.
    var setsLimit: Bool { if case .controller = layout { true } else { false } }

    /// Makes our cgroup. Blocking.
    ///
    /// - Parameter path: of our cgroup, relative to the hierarchies; the step's is right below it.
    init(path: String, limit: UInt64) throws(SandboxError) {
        self.limit = limit
        guard !Files.exists(Cgroups.mount + "/cgroup.controllers") else {
            layout = .unified(events: "\(Cgroups.mount)\(path)/memory.events")
            return
        }
        var directory = Self.controller
        for name in path.split(separator: "/") {
            directory += "/\(name)"
            try Files.makeDirectory(directory)
        }
        // Old kernels count what is below only where this says so; before there is anything below.
        try? Self.write("1", to: directory + "/memory.use_hierarchy")
        try Self.write("\(limit)", to: directory + "/memory.limit_in_bytes")
        let bell = clinux_event_counter()
        try check(bell, "make an event counter for", directory)
        layout = .controller(bell: bell)
        let control = directory + "/memory.oom_control"
        let watched = open(control, O_RDONLY | O_CLOEXEC)
        guard watched >= 0 else { throw .system(action: "open", path: control, error: errno) }
        defer { close(watched) }
        try Self.write("\(bell) \(watched)", to: directory + "/cgroup.event_control")
    }

    deinit { if case .controller(let bell) = layout { close(bell) } }

    /// Whether the limit was reached and the kernel had to end a process of the step. To be asked after the step's end and before our cgroup is
    /// removed. Blocking.
    func wasExceeded() -> Bool {
        switch layout {
        case .controller(let bell):
            var count: UInt64 = 0
            return read(bell, &count, MemoryLayout<UInt64>.size) == MemoryLayout<UInt64>.size && count > 0
        case .unified(let events):
            guard let text = (try? Files.read(events, limit: Self.eventsLimit)).flatMap(\.self) else { return false }
            return Self.isExceeded(events: String(decoding: text, as: UTF8.self))
        }
    }

    /// Reads `memory.events`. A process that the kernel ended because the whole machine had no memory left is not the step's fault.
    static func isExceeded(events: String) -> Bool {
        var counts: [Substring: Int] = [:]
        for line in events.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let count = Int(words[1]) { counts[words[0]] = count }
        }
        return counts["oom", default: 0] > 0 && counts["oom_kill", default: 0] > 0
    }

    private static func write(_ text: String, to path: String) throws(SandboxError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(action: "open", path: path, error: errno) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw .system(action: "write to", path: path, error: errno)
        }
    }
}
