import BuildPlan
import FarmAPI

/// How a build is shown while it runs, on standard error.
public enum ProgressMode: String, Sendable, CaseIterable {
    /// `tty` on a terminal, else `plain`.
    case auto
    case plain
    /// A live view.
    case tty
    /// Nothing but the failure.
    case quiet
    /// The events as JSON lines.
    case rawjson
}

/// Draws a build's events. Pure but for the sink: text goes out through `write`.
struct ProgressPrinter {
    private var view = BuildView()
    private let mode: ProgressMode
    private let terminal: Terminal?
    private let write: (String) -> Void
    /// The Dockerfile, for the lines around a failing instruction.
    private let source: SourceText
    /// Lines of the live region that stand on the screen now.
    private var drawn = 0
    private let start: Timestamp

    struct SourceText: Sendable {
        var name: String
        var text: String
    }

    /// A terminal's size and whether it may have colours.
    struct Terminal: Sendable {
        var columns: Int
        var rows: Int
        var colours: Bool
    }

    init(mode: ProgressMode, terminal: Terminal?, source: SourceText, start: Timestamp, write: @escaping (String) -> Void) {
        self.mode = mode == .auto ? (terminal == nil ? .plain : .tty) : mode
        self.terminal = terminal
        self.source = source
        self.start = start
        self.write = write
    }

    var image: BuildDescription.Image? { view.image }
    var status: Status { view.status }

    // MARK: What the client does itself

    mutating func begin(_ name: String, at time: Timestamp) -> Int {
        let vertex = view.begin(name, at: time)
        if mode == .plain { write("#\(view.vertices[vertex].number) \(name)\n") }
        return vertex
    }

    mutating func end(_ vertex: Int, at time: Timestamp, error: String? = nil) {
        view.end(vertex, at: time, error: error)
        ended(view.vertices[vertex], now: time)
    }

    // MARK: Events

    mutating func handle(_ event: BuildEvent) {
        if mode == .rawjson, let line = try? FarmJSON.encode(event) { write(String(decoding: line, as: UTF8.self) + "\n") }
        for change in view.apply(event) {
            switch change {
            case .started(let vertex):
                if mode == .plain { write("#\(view.vertices[vertex].number) \(view.vertices[vertex].name)\n") }
            case .output(let vertex, let lines):
                guard mode == .plain else { continue }
                let vertex = view.vertices[vertex]
                let time = vertex.started.map { event.time.seconds(since: $0) } ?? 0
                write(lines.map { "#\(vertex.number) \(Human.milliseconds(time)) \($0)\n" }.joined())
            case .ended(let vertex): ended(view.vertices[vertex], now: event.time)
            case .note(let text):
                if mode == .plain { write("# \(Printable.line(text))\n") }
                if mode == .tty { aboveLive(Printable.line(text), now: event.time) }
            case .finished: finished(at: event.time)
            }
        }
    }

    /// Draws the live view anew; the caller calls it a few times a second.
    mutating func tick(now: Timestamp) {
        guard mode == .tty else { return }
        redraw(above: "", now: now)
    }

    /// Says something beside the events: the connection was lost, the build's page.
    mutating func note(_ text: String, now: Timestamp) {
        switch mode {
        case .plain: write("# \(text)\n")
        case .tty: aboveLive(text, now: now)
        default: break
        }
    }

    private mutating func ended(_ vertex: BuildView.Vertex, now: Timestamp) {
        let seconds = zip(vertex.ended, vertex.started).map { $0.seconds(since: $1) } ?? 0
        switch mode {
        case .plain:
            let outcome =
                switch vertex.status {
                case _ where vertex.cached: "CACHED"
                case .succeeded: "DONE \(Human.duration(seconds))"
                case .cancelled: "CANCELED"
                default: "ERROR: \(vertex.error ?? "failed")"
                }
            write("#\(vertex.number) \(outcome)\n\n")
        case .tty:
            let (mark, colour) =
                switch vertex.status {
                case .succeeded: ("✔", "32")
                case .cancelled: ("–", "33")
                default: ("✘", "31")
                }
            let right = vertex.cached ? "cached" : Human.duration(seconds)
            aboveLive(row(mark, colour: colour, vertex.name, right: right), now: now)
        default: break
        }
    }

    private mutating func finished(at time: Timestamp) {
        if mode == .tty { redraw(above: "", now: time, live: false) }
        guard mode != .rawjson, view.status == .failed else { return }
        write(FailureReport(view: view, source: source).text)
    }

    // MARK: The live view

    private mutating func aboveLive(_ line: String, now: Timestamp) { redraw(above: line + "\n", now: now) }

    private mutating func redraw(above: String, now: Timestamp, live: Bool = true) {
        guard let terminal else {
            write(above)
            return
        }
        // Back to the first line of the region, clear to the end of the screen, write what stays, write the region anew.
        var text = drawn > 0 ? "\u{1B}[\(drawn)A" : ""
        text += "\r\u{1B}[J" + above
        let lines = live && !view.status.isFinal ? liveLines(terminal, now: now) : []
        text += lines.map { $0 + "\n" }.joined()
        drawn = lines.count
        write(text)
    }

    private func liveLines(_ terminal: Terminal, now: Timestamp) -> [String] {
        let running = view.running
        let rows = max(1, terminal.rows - 2)
        let logs = running.isEmpty ? 0 : max(0, min(4, (rows - 1) / running.count - 1))
        var lines: [String] = []
        for vertex in running.prefix(rows - 1) {
            let seconds = vertex.started.map { now.seconds(since: $0) } ?? 0
            let place = vertex.agent.map { "\($0)  " } ?? ""
            lines.append(row("●", colour: "36", vertex.name, right: place + Human.duration(max(0, seconds))))
            for line in vertex.tail.suffix(logs) { lines.append(dim("    " + Printable.cut(line, columns: terminal.columns - 5))) }
        }
        let (ended, all) = view.progress
        let state = all == 0 ? "planning" : "\(ended) of \(all) steps"
        lines.append(dim("  \(state), \(Human.duration(max(0, now.seconds(since: start))))"))
        return lines
    }

    private func row(_ mark: String, colour: String, _ name: String, right: String) -> String {
        let columns = (terminal?.columns ?? 100) - 1
        let name = Printable.cut(name, columns: max(8, columns - right.count - 4))
        let gap = String(repeating: " ", count: max(1, columns - 2 - name.count - right.count))
        return terminal?.colours == true
            ? "\u{1B}[\(colour)m\(mark)\u{1B}[0m \(name)\(gap)\u{1B}[2m\(right)\u{1B}[0m" : "\(mark) \(name)\(gap)\(right)"
    }

    private func dim(_ text: String) -> String { terminal?.colours == true ? "\u{1B}[2m\(text)\u{1B}[0m" : text }
}

private func zip<A, B>(_ a: A?, _ b: B?) -> (A, B)? {
    guard let a, let b else { return nil }
    return (a, b)
}

/// What is printed when a build failed: the step's last output, the place in the Dockerfile, the reason.
struct FailureReport {
    let view: BuildView
    let source: ProgressPrinter.SourceText

    private static let context = 3

    var text: String {
        var text = ""
        if let failed = view.failed, !failed.tail.isEmpty {
            text += "------\n > \(failed.name):\n" + failed.tail.map { "\($0)\n" }.joined() + "------\n"
        }
        if let lines = view.failure?.lines { text += excerpt(lines) }
        return text + "ERROR: \(view.failure?.message ?? "the build failed")\n"
    }

    private func excerpt(_ lines: ClosedRange<Int>) -> String {
        var all = source.text.split(separator: "\n", omittingEmptySubsequences: false)
        if all.last?.isEmpty == true { all.removeLast() }
        guard lines.lowerBound >= 1, lines.lowerBound <= all.count else { return "" }
        let shown = max(1, lines.lowerBound - Self.context)...min(all.count, lines.upperBound + Self.context)
        let rule = String(repeating: "-", count: 20) + "\n"
        var text = "\(source.name):\(lines.lowerBound)\n" + rule
        for number in shown {
            let digits = String(repeating: " ", count: max(0, 4 - String(number).count)) + String(number)
            text += "\(digits) | \(lines.contains(number) ? ">>>" : "   ") \(Printable.line(String(all[number - 1])))\n"
        }
        return text + rule
    }
}
