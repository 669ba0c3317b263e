import Foundation

/// The loads that are shipped. The same seed gives the same load.
public enum LoadKind: String, CaseIterable, Sendable {
    /// Two hours of a team of 200: builds come more and more, most projects are small, everybody edits and builds again.
    case morning
    /// A CI rush: pushes come in bursts, and a few hot projects make most of them.
    case rush
    /// Empty agents and a queue from the start; half of the agents join ten minutes later.
    case cold
    /// As large as it has to be borne: 5,000 agents, 1,000,000 stages, 10,000 volumes.
    case scale
    /// The rush with stages of which some always take the same time and others three times as long, or a third.
    case uneven
    /// The morning where every third agent is at the end of a line of 8 MB/s.
    case lines
}

extension Load {
    /// A generated load.
    ///
    /// - Parameters:
    ///   - agents: nil for the load's own number.
    ///   - stages: about so many; nil for the load's own number.
    public static func generated(_ kind: LoadKind, seed: UInt64, agents: Int? = nil, stages: Int? = nil) -> Load {
        var maker = LoadMaker(seed: seed)
        return switch kind {
        case .morning:
            maker.make(
                "morning", agents: agents ?? 24, slots: 4, projects: 40, users: 200, stages: stages ?? 9_000,
                arrival: { random, part in 7_200 * (part * 0.85 + 0.15 * random.unit()) }, hot: 0.0, failures: 2)
        case .rush:
            maker.make(
                "rush", agents: agents ?? 32, slots: 4, projects: 60, users: 120, stages: stages ?? 8_000,
                arrival: { random, part in (part * 12).rounded(.down) * 300 + 60 * random.unit() }, hot: 0.7, failures: 2)
        case .cold:
            maker.make(
                "cold", agents: agents ?? 40, slots: 4, projects: 30, users: 60, stages: stages ?? 4_000,
                arrival: { random, _ in 60 * random.unit() }, hot: 0.3, failures: 0, late: 600)
        case .scale:
            maker.make(
                "scale", agents: agents ?? 5_000, slots: 4, projects: 4_000, users: 5_000, stages: stages ?? 1_000_000,
                arrival: { random, part in 3_600 * part + random.unit() }, hot: 0.2, failures: 50)
        case .uneven:
            maker.make(
                "uneven", agents: agents ?? 32, slots: 4, projects: 60, users: 120, stages: stages ?? 8_000,
                arrival: { random, part in (part * 12).rounded(.down) * 300 + 60 * random.unit() }, hot: 0.7, failures: 2,
                spreads: [1.05, 1.25, 2, 3])
        case .lines:
            maker.make(
                "lines", agents: agents ?? 24, slots: 4, projects: 40, users: 200, stages: stages ?? 9_000,
                arrival: { random, part in 7_200 * (part * 0.85 + 0.15 * random.unit()) }, hot: 0.0, failures: 2, slowLine: 8e6)
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// From 0 to 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Of a logarithmic normal distribution: its median, and how far one standard deviation is away as a factor.
    mutating func spread(median: Double, factor: Double) -> Double {
        let normal = sqrt(-2 * log(max(unit(), 1e-12))) * cos(2 * .pi * unit())
        return median * pow(factor, normal)
    }
}

private struct LoadMaker {
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(state: seed) }

    /// What a project's builds look like.
    private struct Project {
        var kinds: [Kind]

        struct Kind {
            var dependencies: [Int]
            var median: Double
            var volumes: [Int]
            var layerBytes: Int64
        }
    }

    mutating func make(
        _ name: String, agents: Int, slots: Int, projects: Int, users: Int, stages: Int,
        arrival: (inout SeededGenerator, Double) -> Double, hot: Double, failures: Int, late: Double? = nil,
        spreads: [Double] = [1.25], slowLine: Double? = nil
    ) -> Load {
        var load = Load(name: name, agents: [], volumes: [], bases: [], builds: [])
        load.agents = (0..<agents).map { number in
            Load.Agent(
                joins: late != nil && number % 2 == 1 ? late ?? 0 : 0, slots: slots, bandwidth: number % 3 == 2 ? slowLine ?? 110e6 : 110e6)
        }
        var shapes: [Project] = []
        for _ in 0..<projects {
            shapes.append(project(&load))
            load.bases.append(Int64(random.spread(median: 250e6, factor: 1.8)))
        }
        var made = 0
        while made < stages {
            let isHot = random.unit() < hot
            // A few projects are hot; of the others each comes as often as any.
            let number = isHot ? Int(random.unit() * Double(min(5, projects))) : Int(random.unit() * Double(projects))
            let shape = shapes[number]
            let build = Load.Build(
                arrives: arrival(&random, Double(made) / Double(stages)), project: number, user: Int(random.unit() * Double(users)),
                stages: shape.kinds.enumerated().map { kind, shape in
                    Load.Stage(
                        kind: kind, dependencies: shape.dependencies,
                        duration: max(0.2, random.spread(median: shape.median, factor: spreads[(number + kind) % spreads.count])),
                        volumes: shape.volumes,
                        layerBytes: shape.layerBytes)
                })
            made += build.stages.count
            load.builds.append(build)
        }
        load.builds.sort { $0.arrives < $1.arrives }
        let end = load.builds.last?.arrives ?? 0
        for _ in 0..<failures {
            let agent = Int(random.unit() * Double(agents))
            load.agents[agent].failure = Load.Agent.Failure(at: end * (0.2 + 0.6 * random.unit()), duration: 120)
        }
        return load
    }

    private mutating func project(_ load: inout Load) -> Project {
        let count = 1 + Int(random.unit() * 5)
        var kinds: [Project.Kind] = []
        var shared: [Int] = []
        for _ in 0..<1 + Int(random.unit() * 4) {
            let bytes = random.spread(median: 400e6, factor: 3)
            shared.append(load.volumes.count)
            load.volumes.append(Load.Volume(bytes: Int64(bytes), deltaBytes: Int64(bytes * random.spread(median: 0.01, factor: 2))))
        }
        for number in 0..<count {
            // Most stages stand on one before, some are independent.
            let dependencies = number == 0 || random.unit() < 0.35 ? [] : [Int(random.unit() * Double(number))]
            let volumes = shared.filter { _ in random.unit() < 0.5 }
            kinds.append(
                Project.Kind(
                    dependencies: dependencies, median: random.spread(median: 25, factor: 2.2), volumes: volumes,
                    layerBytes: Int64(random.spread(median: 30e6, factor: 3))))
        }
        return Project(kinds: kinds)
    }
}
