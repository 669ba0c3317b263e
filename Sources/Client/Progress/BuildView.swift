import BuildPlan
import FarmAPI

/// A build as its events tell it: what every form of progress is drawn from. Pure: events go in, the state is read.
public struct BuildView: Sendable {
    /// One step, or one thing that the client itself does.
    public struct Vertex: Sendable {
        /// A step's place in the plan, from 1, the same in every listing of the build; what the client does itself is 0 before
        /// there is a plan, and counts on after the plan's last step.
        public var number: Int
        public var name: String
        public var lines: ClosedRange<Int>?
        public var started: Timestamp?
        public var ended: Timestamp?
        public var status: Status = .queued
        public var cached = false
        public var error: String?
        /// Where it runs.
        public var agent: String?
        /// The build that runs it, where it is not this one's own.
        public var sharedWith: String?
        public var bytes = ReceivedBytes()
        /// The last lines of its output, the newest last, without control characters.
        public var tail: [String] = []
        /// Whole lines of output so far.
        public var lineCount = 0
        /// Output after the last line feed.
        var partial = ""
    }

    /// What an event changed.
    public enum Change: Sendable, Equatable {
        case started(vertex: Int)
        /// Whole lines.
        case output(vertex: Int, lines: [String])
        case ended(vertex: Int)
        case note(String)
        case finished
    }

    /// Lines of output that are kept for the summary of a failure.
    public static let tailLimit = 20

    public private(set) var vertices: [Vertex] = []
    public private(set) var status: Status = .queued
    public private(set) var failure: BuildFailure?
    public private(set) var image: BuildDescription.Image?
    private var stages: [BuildEvent.PlannedStage] = []
    private var agents: [Int: String] = [:]
    private var indexes: [StepID: Int] = [:]

    private struct StepID: Hashable {
        var stage: Int
        var step: Int
    }

    public init() {}

    /// The vertices that run now.
    public var running: [Vertex] { vertices.filter { $0.status == .running } }
    /// The vertex that failed.
    public var failed: Vertex? { vertices.first { $0.status == .failed } }
    /// Steps of the plan; 0 before there is one.
    public var stepCount: Int { stages.reduce(0) { $0 + $1.steps.count } }
    /// Steps of the plan that have ended, and those of them that had a record.
    public var progress: (ended: Int, cached: Int) {
        (indexes.values.count { vertices[$0].status.isFinal }, indexes.values.count { vertices[$0].cached })
    }
    /// All that the build's steps received over the network.
    public var received: Int64 {
        vertices.reduce(0) { $0 &+ $1.bytes.layers &+ $1.bytes.context &+ $1.bytes.volumes }
    }

    /// Starts something that the client does itself; returns its index.
    public mutating func begin(_ name: String, at time: Timestamp) -> Int {
        let own = vertices.count - indexes.count
        let number = stages.isEmpty ? 0 : stepCount + max(1, own)
        vertices.append(Vertex(number: number, name: Printable.line(name), started: time, status: .running))
        return vertices.count - 1
    }

    /// Ends what ``begin(_:at:)`` started.
    public mutating func end(_ vertex: Int, at time: Timestamp, error: String? = nil) {
        vertices[vertex].ended = time
        vertices[vertex].status = error == nil ? .succeeded : .failed
        vertices[vertex].error = error
    }

    /// Takes an event; returns what is new for the user, in order.
    public mutating func apply(_ event: BuildEvent) -> [Change] {
        switch event.kind {
        case .planned(let stages):
            self.stages = stages
            status = .running
            return []
        case .needsContents(let files):
            return [.note("sending \(files) \(files == 1 ? "file" : "files") of the context")]
        // The submission sends them without a word; who follows the build has none.
        case .needsSecrets:
            return []
        case .stageStarted(let stage, let agent, let attempt):
            agents[stage] = agent
            return attempt > 1 ? [.note("\(stageName(stage)): attempt \(attempt), on \(agent)")] : []
        case .stepStarted(let stage, let step):
            let vertex = index(stage, step)
            vertices[vertex].started = event.time
            vertices[vertex].ended = nil
            vertices[vertex].status = .running
            vertices[vertex].agent = agents[stage]
            return [.started(vertex: vertex)]
        case .stepShared(let stage, let step, let build, let agent):
            let vertex = index(stage, step)
            vertices[vertex].started = event.time
            vertices[vertex].ended = nil
            vertices[vertex].status = .running
            vertices[vertex].agent = agent
            vertices[vertex].sharedWith = build
            return [.started(vertex: vertex), .note("#\(vertices[vertex].number) runs in build \(build) already, on \(agent): shared")]
        case .log(let stage, let step, let text):
            return output(text, of: index(stage, step))
        case .stepFinished(let stage, let step, let status, let cached, _, let error, let bytes):
            let vertex = index(stage, step)
            var changes: [Change] = []
            if vertices[vertex].started == nil {
                vertices[vertex].started = event.time
                changes.append(.started(vertex: vertex))
            }
            if !vertices[vertex].partial.isEmpty { changes += output("\n", of: vertex) }
            vertices[vertex].ended = event.time
            vertices[vertex].status = status
            vertices[vertex].cached = cached
            vertices[vertex].error = error
            vertices[vertex].bytes = bytes
            return changes + [.ended(vertex: vertex)]
        case .stageRetried(let stage, let reason):
            for (id, vertex) in indexes where id.stage == stage && vertices[vertex].status == .running { vertices[vertex].status = .queued }
            return [.note("\(stageName(stage)) is tried again: \(reason)")]
        case .warning(let text):
            return [.note("warning: \(text)")]
        case .finished(let status, let error, let image, _):
            self.status = status
            failure = error
            self.image = image
            let stopped = vertices.indices.filter { vertices[$0].status == .running }
            for vertex in stopped {
                vertices[vertex].status = .cancelled
                vertices[vertex].ended = event.time
            }
            return stopped.map { .ended(vertex: $0) } + [.finished]
        }
    }

    private func stageName(_ stage: Int) -> String { stages.indices.contains(stage) ? stages[stage].name : "stage \(stage)" }

    private mutating func index(_ stage: Int, _ step: Int) -> Int {
        let id = StepID(stage: stage, step: step)
        if let known = indexes[id] { return known }
        let planned = stages.indices.contains(stage) ? stages[stage] : nil
        let name = planned.flatMap { $0.steps.indices.contains(step) ? $0.steps[step] : nil } ?? "[\(stageName(stage))] step \(step)"
        let lines = planned.flatMap { $0.lines.indices.contains(step) ? $0.lines[step] : nil }
        let number = stages.prefix(max(0, stage)).reduce(1) { $0 + $1.steps.count } + step
        vertices.append(Vertex(number: number, name: Printable.line(name), lines: lines))
        indexes[id] = vertices.count - 1
        return vertices.count - 1
    }

    private mutating func output(_ text: String, of vertex: Int) -> [Change] {
        // Scalars and not characters: "\r\n" is one character.
        var lines = (vertices[vertex].partial + text).unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(
            String.init)
        vertices[vertex].partial = lines.removeLast()
        // A program that never ends its line must not fill our memory.
        if vertices[vertex].partial.utf8.count > Self.longestLine {
            lines.append(vertices[vertex].partial)
            vertices[vertex].partial = ""
        }
        guard !lines.isEmpty else { return [] }
        lines = lines.map(Printable.line)
        vertices[vertex].lineCount += lines.count
        vertices[vertex].tail = Array((vertices[vertex].tail + lines).suffix(Self.tailLimit))
        return [.output(vertex: vertex, lines: lines)]
    }

    private static let longestLine = 64 << 10
}
