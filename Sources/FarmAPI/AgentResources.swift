import BuildPlan

/// What of an agent's machine stages can reserve, and what it runs beside its own platform.
public struct AgentResources: Codable, Sendable, Hashable {
    /// Processors for all stages together, fractions too; 0: none can be reserved.
    public var cpus: Double
    /// Bytes of memory for all stages together; 0: none can be reserved.
    public var memory: Int64
    /// The most that the agent gives to one step by its own settings; nil for all.
    public var stepCPUs: Double?
    public var stepMemory: Int64?
    /// Why its steps can't be held to limits, so that nothing can be reserved; nil where they can.
    public var withoutLimits: String?
    /// What it runs by emulation, since its operator allows that.
    public var emulated: [Platform]

    /// Nothing to reserve.
    public init(
        cpus: Double = 0, memory: Int64 = 0, stepCPUs: Double? = nil, stepMemory: Int64? = nil, withoutLimits: String? = nil,
        emulated: [Platform] = []
    ) {
        self.cpus = cpus
        self.memory = memory
        self.stepCPUs = stepCPUs
        self.stepMemory = stepMemory
        self.withoutLimits = withoutLimits
        self.emulated = emulated
    }

    /// More than any machine has: what an agent says is not believed beyond it.
    private static let most = (cpus: 65_536.0, memory: Int64(1) << 50, platforms: 16, text: 200)

    /// The same with every number in its range.
    public var bounded: AgentResources {
        AgentResources(
            cpus: Self.bounded(cpus), memory: Self.bounded(memory), stepCPUs: stepCPUs.map { Self.bounded($0) },
            stepMemory: stepMemory.map { Self.bounded($0) }, withoutLimits: withoutLimits.map { String($0.prefix(Self.most.text)) },
            emulated: Array(emulated.prefix(Self.most.platforms)))
    }

    private static func bounded(_ value: Double) -> Double { value.isFinite ? min(max(0, value), most.cpus) : 0 }
    private static func bounded(_ value: Int64) -> Int64 { min(max(0, value), most.memory) }
}
