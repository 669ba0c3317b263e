import BuildPlan

/// What one agent would mean for a stage. Seconds from now and bytes over the network.
public struct Candidate: Sendable, Hashable {
    public var agent: String
    /// Until a slot is free there.
    public var queue: Double
    public var layerBytes: Int64
    public var contextBytes: Int64
    public var volumeBytes: Int64
    /// To bring the bytes.
    public var transfer: Double
    /// To run, with what else runs there.
    public var run: Double

    /// Everything that has to be brought.
    public var missingBytes: Int64 { layerBytes.addingSize(contextBytes).addingSize(volumeBytes) }
    /// The sum by which agents are compared.
    public var finish: Double { queue + transfer + run }

    /// The order of preference: the earliest finish, then the fewest bytes, then the shortest queue, then the name. Total, so that the
    /// same state gives the same placement.
    public static func isPreferred(_ a: Candidate, to b: Candidate) -> Bool {
        if a.finish != b.finish { return a.finish < b.finish }
        if a.missingBytes != b.missingBytes { return a.missingBytes < b.missingBytes }
        if a.queue != b.queue { return a.queue < b.queue }
        return a.agent < b.agent
    }
}

extension SchedulingPolicy {
    /// - Parameter slots: when each of the agent's slots becomes free, seconds from now.
    func candidate(_ stage: StageDemand, on agent: AgentSnapshot, slots: [Double]) -> Candidate {
        let queue = max(0, slots.min() ?? 0)
        var layerBytes: Int64 = 0
        for layer in stage.layers where !agent.layers.contains(layer.diffID) { layerBytes = layerBytes.addingSize(layer.size) }
        var volumeBytes: Int64 = 0
        for volume in stage.volumes { volumeBytes = volumeBytes.addingSize(missing(volume, on: agent)) }
        let contextBytes = max(0, stage.contextBytes)
        let bytes = layerBytes.addingSize(volumeBytes).addingSize(contextBytes)
        let others = slots.count { $0 > queue }
        return Candidate(
            agent: agent.name, queue: queue, layerBytes: layerBytes, contextBytes: contextBytes, volumeBytes: volumeBytes,
            transfer: Double(bytes) / bandwidth,
            run: (stage.usualDuration ?? unknownDuration) * (1 + contention * Double(others)))
    }

    private func missing(_ volume: VolumeDemand, on agent: AgentSnapshot) -> Int64 {
        guard volume.head > 0, volume.bytes > 0 else { return 0 }
        guard let generation = agent.volumes[volume.name] else { return volume.bytes }
        // What is not of this history is brought anew.
        guard generation <= volume.head else { return volume.bytes }
        let (behind, overflow) = volume.head.subtractingReportingOverflow(max(0, generation))
        if overflow { return volume.bytes }
        let known = volume.changes.prefix(behind)
        var bytes: Int64 = 0
        for change in known { bytes = bytes.addingSize(change) }
        if known.count < behind {
            // The generations before those that are known are taken to have changed as much.
            let each = known.isEmpty ? Double(volume.bytes) * volumeChange : Double(bytes) / Double(known.count)
            let unknown = each * Double(behind - known.count)
            bytes = bytes.addingSize(unknown < Double(volume.bytes) ? Int64(unknown) : volume.bytes)
        }
        return min(volume.bytes, bytes)
    }
}

extension Int64 {
    // Sizes come from agents: a sum that does not fit must not end the coordinator.
    func addingSize(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(Swift.max(0, other))
        return overflow ? .max : sum
    }
}
