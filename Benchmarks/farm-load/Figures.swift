import Foundation

/// What was measured with one number of agents. Times in seconds, memory in bytes.
struct Figures: Codable, Sendable {
    /// Of many times; 0 where there were none.
    struct Spread: Codable, Sendable {
        var count: Int
        var median: Double
        var percentile99: Double
        var most: Double

        init(_ times: [Double]) {
            let sorted = times.sorted()
            count = sorted.count
            median = Self.quantile(sorted, 0.5)
            percentile99 = Self.quantile(sorted, 0.99)
            most = sorted.last ?? 0
        }

        private static func quantile(_ sorted: [Double], _ part: Double) -> Double {
            sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))]
        }
    }

    var agents: Int
    /// From the first connection to the last agent's welcome.
    var joining = 0.0
    /// Of the coordinator, in processors (1 is one processor all the time): heartbeats alone, and with the builds.
    var idleProcessor = 0.0
    var processor = 0.0
    /// Of the coordinator, from the first submission to the last build's end: seconds.
    var processorSeconds = 0.0
    /// The same of this program: where both together are near the machine's processors, the times are those of a busy machine.
    var ownProcessor = 0.0
    /// Of the coordinator: resident with all agents there and no build yet, and the peak.
    var joinedMemory = 0
    var peakMemory = 0
    /// `POST /api/v1/builds` of all builds at once, each on a connection that is open.
    var submit = Spread([])
    /// The same, one after the other, while the builds run.
    var submitLater = Spread([])
    /// From the agent's step that printed the line to the client's loop over events.
    var line = Spread([])
    var heartbeat = Spread([])
    /// Of heartbeats that failed or took longer than the interval.
    var heartbeatsMissed = 0
    /// From the first submission to the last build's end, and how long that would take if nothing but the steps took time.
    var wall = 0.0
    var lines = 0
    /// Builds that did not succeed, lines that came twice, not at all or out of order, sessions that broke.
    var errors = 0
    var errorSamples: [String] = []
}

extension Figures {
    private static let widths = [6, 8, 10, 8, 8, 8, 8, 8, 16, 16, 16, 14, 7, 8, 7]

    static var header: String {
        let top = line(
            [
                "agents", "joined s", "idle CPU", "CPU", "CPU s", "own CPU", "MB", "peak MB", "submit ms", "later ms", "line ms", "beat ms",
                "missed", "lines",
                "errors",
            ])
        return top + "\n"
            + line(["", "", "", "", "", "", "", "", "median    99%", "median    99%", "median    99%", "median  99%", "", "", ""])
    }

    var row: String {
        Self.line([
            "\(agents)", Self.number(joining, 2), Self.number(idleProcessor, 3), Self.number(processor, 3),
            Self.number(processorSeconds, 1), Self.number(ownProcessor, 3),
            Self.number(Double(joinedMemory) / 1e6, 0), Self.number(Double(peakMemory) / 1e6, 0), Self.pair(submit), Self.pair(submitLater),
            Self.pair(line), Self.pair(heartbeat), "\(heartbeatsMissed)", "\(lines)", "\(errors)",
        ])
    }

    private static func pair(_ spread: Spread) -> String {
        "\(number(spread.median * 1e3, 1))  \(number(spread.percentile99 * 1e3, 1))"
    }

    private static func line(_ cells: [String]) -> String {
        zip(cells, widths).map { cell, width in String(repeating: " ", count: max(0, width - cell.count)) + cell }.joined(separator: " ")
    }

    private static func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
