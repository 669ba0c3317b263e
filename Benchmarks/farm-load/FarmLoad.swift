import ArgumentParser
import Daemon
import Foundation

/// Loads a real coordinator with light agents and builds.
@main struct FarmLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "farm-load",
        abstract: "Load a real coordinator with many light agents and builds, and measure it.",
        discussion: """
            For each number of agents: a new farm, a coordinator in a process of its own, that many agents in this one, each with its own \
            certificate and connection and with the agent's own session, heartbeats and outbox; they run nothing, but report steps and \
            their output as if they did. Then that many builds at once, each followed by a client with a connection of its own.
            """)

    @Option(help: "Agents; several with commas are measured one after the other.") var agents = "100,300,1000"
    @Option(help: "Builds at once.") var builds = 200
    @Option(help: "Steps of a build.") var steps = 6
    @Option(help: "Seconds that a step runs.") var seconds = 4.0
    @Option(help: "Lines a second that a running step prints, of some 80 bytes.") var lines = 10.0
    @Option(help: "Layers that each agent has when it joins.") var layers = 100
    @Option(help: "Seconds of heartbeats alone, before the builds.") var idle = 10.0
    @Option(help: "The coordinator's program; beside this one unless told.") var coordinator: String?
    @Option(help: "Write all figures there, as JSON.") var json: String?
    @Option(help: "Where the farms are made, and removed again.") var folder = NSTemporaryDirectory()
    @Flag(help: "Leave the coordinator's log and data.") var keep = false

    private var counts: [Int] { agents.split(separator: ",").compactMap { Int($0) } }

    func validate() throws {
        guard !counts.isEmpty, counts.allSatisfy({ (1...10_000).contains($0) }) else {
            throw ValidationError("--agents \(agents): numbers from 1 to 10000, with commas")
        }
        guard (1...10_000).contains(builds), (1...1000).contains(steps), (0...10_000).contains(layers) else {
            throw ValidationError("--builds: 1 to 10000, --steps: 1 to 1000, --layers: 0 to 10000")
        }
        guard seconds > 0, seconds <= 3600, lines >= 0, lines <= 1000, idle >= 0, idle <= 3600 else {
            throw ValidationError("--seconds and --idle: up to 3600, --lines: up to 1000")
        }
    }

    func run() async throws {
        FileDescriptors.raiseLimit()
        let load = Load(builds: builds, steps: steps, seconds: seconds, linesPerSecond: lines, layers: layers, idle: idle)
        let program = coordinator ?? Self.sibling("farm-coordinator")
        var all: [Figures] = []
        for count in counts {
            let place = URL(fileURLWithPath: folder).appendingPathComponent("farm-load-\(UUID().uuidString)").path
            defer { if !keep { try? FileManager.default.removeItem(atPath: place) } }
            let figures = try await Measurement(agents: count, load: load, program: program, folder: place).run()
            if all.isEmpty { print(Figures.header) }
            print(figures.row)
            for error in figures.errorSamples { FileHandle.standardError.write(Data("farm-load: \(error)\n".utf8)) }
            all.append(figures)
        }
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(Report(load: load, figures: all)).write(to: URL(fileURLWithPath: json))
        }
        if all.contains(where: { $0.errors > 0 }) { throw ExitCode.failure }
    }

    private static func sibling(_ name: String) -> String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent(name).path
    }
}

/// What the coordinator is loaded with.
struct Load: Codable, Sendable {
    /// At once.
    var builds: Int
    /// Of each build, in one stage.
    var steps: Int
    /// That each step runs.
    var seconds: Double
    /// Of each running step.
    var linesPerSecond: Double
    /// That each agent has when it joins.
    var layers: Int
    /// Seconds of heartbeats alone.
    var idle: Double
}

private struct Report: Encodable {
    var load: Load
    var figures: [Figures]
}
