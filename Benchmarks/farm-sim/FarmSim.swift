import ArgumentParser
import Foundation
import Simulation
import Store

/// Drives the scheduling code by virtual time.
@main struct FarmSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "farm-sim",
        abstract: "Drive Farm's scheduler by virtual time, beside other ways to place stages.",
        discussion: "The same seed gives the same load. 'scale' compares with nothing: it is there for the cost of decisions.")

    @Argument(help: "Loads to simulate: \(LoadKind.allCases.map(\.rawValue).joined(separator: ", ")); the first three unless told.")
    var loads: [String] = []

    @Option(help: "A load from a file, as --save writes it.") var load: String?
    @Option(help: "What a farm has done: a coordinator's database (farm.sqlite), or a backup of it.") var recorded: String?
    @Option(help: "Write the load there, as JSON, and do nothing else.") var save: String?
    @Option(help: "Of the generator.") var seed: UInt64 = 1
    @Option(help: "So many agents instead of the load's own number.") var agents: Int?
    @Option(help: "About so many stages instead of the load's own number.") var stages: Int?
    @Option(help: "How much the time of a copy counts beside the time in a queue, from 0 to 10; the scheduler's own value unless told.")
    var copying: Double?
    @Option(help: "The same while more stages wait than there are slots.")
    var copyingBehind: Double?
    @Flag(help: "Don't tell it by how much durations differ.") var noSpreads = false
    @Flag(help: "Don't tell it how fast agents receive.") var noMeasuring = false
    @Flag(help: "Farm's scheduler alone.") var alone = false
    @Option(help: "Write all figures there, as JSON.") var json: String?

    func validate() throws {
        for name in loads where LoadKind(rawValue: name) == nil { throw ValidationError("'\(name)' is no load") }
        if let agents, agents < 1 { throw ValidationError("--agents \(agents): at least 1") }
        if let stages, stages < 1 { throw ValidationError("--stages \(stages): at least 1") }
        for (name, value) in [("copying", copying), ("copying-behind", copyingBehind)] {
            if let value, !(0...10).contains(value) { throw ValidationError("--\(name) \(value): from 0 to 10") }
        }
        guard [load != nil, recorded != nil, !loads.isEmpty].count(where: \.self) < 2 else {
            throw ValidationError("a load from a file, or a recorded one, or generated ones")
        }
        if save != nil, recorded == nil, loads.count != 1 { throw ValidationError("--save: name one load") }
    }

    func run() throws {
        let recorded = try recorded.map { path in
            try Load.recorded(History(reading: path), name: URL(fileURLWithPath: path).lastPathComponent)
        }
        if let save, let load = recorded ?? loads.first.flatMap(LoadKind.init).map({ generated($0) }) {
            try JSONEncoder().encode(load).write(to: URL(fileURLWithPath: save))
            return
        }
        var all: [Figures] = []
        if let recorded {
            try recorded.check()
            all += simulate(recorded, comparing: true)
        } else if let load {
            let made = try JSONDecoder().decode(Load.self, from: Data(contentsOf: URL(fileURLWithPath: load)))
            try made.check()
            all += simulate(made, comparing: true)
        } else {
            let kinds = loads.isEmpty ? [LoadKind.morning, .rush, .cold] : loads.compactMap(LoadKind.init)
            for kind in kinds {
                all += simulate(generated(kind), comparing: kind != .scale)
            }
        }
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(all).write(to: URL(fileURLWithPath: json))
        }
    }

    private func generated(_ kind: LoadKind) -> Load { .generated(kind, seed: seed, agents: agents, stages: stages) }

    private func simulate(_ load: Load, comparing: Bool) -> [Figures] {
        print("\(load.name): \(load.agents.count) agents, \(load.stageCount) stages, \(load.volumes.count) volumes, seed \(seed)")
        print(Table.header)
        var all: [Figures] = []
        func note(_ figures: Figures) {
            print(Table.row(figures))
            all.append(figures)
        }
        var farm = Simulator(load, FarmPolicy(copying: copying, copyingBehind: copyingBehind, spreads: !noSpreads, measures: !noMeasuring))
        note(farm.run())
        if comparing, !alone {
            for choice in SimplePolicy.Choice.allCases {
                var other = Simulator(load, SimplePolicy(choice, seed: seed))
                note(other.run())
            }
        }
        print("peak memory so far: \(Table.number(Double(Self.peakMemory) / 1e6, 0)) MB\n")
        return all
    }

    /// Bytes, of this process.
    private static var peakMemory: Int {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return 0 }
        return kilobytes << 10
    }
}

/// Figures as lines of a table.
enum Table {
    private static let widths = [20, 12, 10, 8, 10, 9, 9, 9, 9, 9]

    static var header: String {
        line(["policy", "decisions/s", "makespan", "/bound", "moved GB", "wait s", "transfer", "median", "99%", "Jain"])
    }

    static func row(_ figures: Figures) -> String {
        line([
            figures.policy, number(figures.decisionsPerSecond, 0), number(figures.makespan, 0),
            number(figures.makespan / figures.lowerBound, 3), number(Double(figures.bytes) / 1e9, 1), number(figures.meanWait, 2),
            number(figures.meanTransfer, 2),
            number(figures.medianWait, 2), number(figures.waitPercentile99, 1), number(figures.fairness, 3),
        ])
    }

    private static func line(_ cells: [String]) -> String {
        zip(cells, widths).enumerated().map { index, cell in
            let space = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return index == 0 ? cell.0 + space : space + cell.0
        }.joined(separator: " ")
    }

    static func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
