// What the values may be: the client asks before it sends them, the coordinator before it believes them.
extension BuildOptions {
    /// Processors of a stage. The kernel shares out no less than a hundredth.
    public static let cpuRange = 0.01...4096.0
    /// Bytes of memory of a stage: with less not even a runtime's own start fits.
    public static let leastMemory: Int64 = 16 << 20
    /// Each step doubles a build's share.
    public static let priorities = -3...3
    /// More labels than any agent has.
    public static let mostLabels = 64

    /// What is wrong with one of the values; nil when nothing is.
    public var trouble: String? {
        if let cpus, !Self.cpuRange.contains(cpus) { return "cpus is \(cpus): expected 0.01 to 4096" }
        if let memory, memory < Self.leastMemory { return "memory is \(memory) bytes: expected at least \(Self.leastMemory >> 20) MiB" }
        if let priority, !Self.priorities.contains(priority) { return "priority is \(priority): expected -3 to 3" }
        if require.count > Self.mostLabels || (prefer ?? [:]).count > Self.mostLabels {
            return "a build requires or prefers at most \(Self.mostLabels) labels"
        }
        return nil
    }
}
