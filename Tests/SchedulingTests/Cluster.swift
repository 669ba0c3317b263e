import BuildPlan
import Digests

@testable import Scheduling

/// Short words for agents and stages of a test.
enum Cluster {
    static let amd64 = Platform(os: "linux", architecture: "amd64")

    static func agent(_ name: String, slots: Int = 2, _ change: (inout AgentProfile) -> Void = { _ in }) -> AgentProfile {
        var agent = AgentProfile(name: name, labels: ["name": name], platforms: [amd64], slots: slots)
        change(&agent)
        return agent
    }

    static func stage(_ id: String = "s", _ change: (inout StageDemand) -> Void = { _ in }) -> StageDemand {
        var stage = StageDemand(id: id, owner: StageOwner(project: "p", user: "u", build: id), platform: amd64)
        change(&stage)
        return stage
    }

    static func layer(_ name: String, _ size: Int64) -> LayerDescriptor { LayerDescriptor(diffID: Digest.of(name), size: size) }
}

extension Scheduler {
    init(_ agents: [AgentProfile], policy: SchedulingPolicy = SchedulingPolicy()) {
        self.init(policy: policy)
        for agent in agents { put(agent) }
    }

    /// Submits one stage and decides about it; nil where there is no slot for it to be compared.
    mutating func decision(_ stage: StageDemand, at now: Double = 0) -> Decision? {
        submit(stage)
        return decide(now).first { $0.stage == stage.id }?.decision
    }

    /// The agent that gets the stage now.
    mutating func placed(_ stage: StageDemand, at now: Double = 0) -> String? {
        if case .place(let placement) = decision(stage, at: now) { placement.agent } else { nil }
    }

    /// All placements of one look.
    mutating func placements(at now: Double = 0) -> [(stage: String, agent: String)] {
        decide(now).compactMap { stage, decision in if case .place(let placement) = decision { (stage, placement.agent) } else { nil } }
    }
}

/// A small generator, so that a failing case can be had again by its seed.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &self) == 0 }
}
