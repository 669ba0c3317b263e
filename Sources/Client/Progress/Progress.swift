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
    private var terminal: Terminal?
    private let write: (String) -> Void
    /// The Dockerfile, or the rendered werf.yaml, for the lines around what failed.
    var source: SourceText
    private var region = LiveRegion()
    private let start: Timestamp
    private var build: String?

    struct SourceText: Sendable {
        var name: String
        var text: String
        /// What the submitter's folder can tell about an error; nil for nothing.
        var hint: @Sendable (String) -> String? = { _ in nil }
    }

    /// A terminal's size and whether it may have colours.
    struct Terminal: Sendable {
        var columns: Int
        var rows: Int
        var colours: Bool
    }

    init(
        mode: ProgressMode, terminal: Terminal?, source: SourceText = .init(name: "", text: ""), start: Timestamp,
        write: @escaping (String) -> Void
    ) {
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
        if mode == .plain { writeHeader(view.vertices[vertex]) }
        return vertex
    }

    mutating func end(_ vertex: Int, at time: Timestamp, error: String? = nil) {
        view.end(vertex, at: time, error: error)
        ended(view.vertices[vertex], now: time)
    }

    /// The coordinator has taken the build: from here on it can be found again.
    mutating func accepted(_ build: String, page: String, now: Timestamp) {
        self.build = build
        note("build \(build)  \(page)", now: now)
    }

    // MARK: Events

    mutating func handle(_ event: BuildEvent) {
        if mode == .rawjson, let line = try? FarmJSON.encode(event) { write(String(decoding: line, as: UTF8.self) + "\n") }
        for change in view.apply(event) {
            switch change {
            case .started(let vertex):
                if mode == .plain { writeHeader(view.vertices[vertex]) }
            case .output(let vertex, let lines):
                guard mode == .plain else { continue }
                let vertex = view.vertices[vertex]
                let time = vertex.started.map { event.time.seconds(since: $0) } ?? 0
                write(lines.map { "#\(vertex.number) \(Human.milliseconds(time)) \($0)\n" }.joined())
            case .ended(let vertex): ended(view.vertices[vertex], now: event.time)
            case .note(let text): note(text, now: event.time)
            case .finished: finished(at: event.time)
            }
        }
    }

    /// Draws the live view anew for the terminal's size now; the caller calls it a few times a second.
    mutating func tick(now: Timestamp, columns: Int?, rows: Int?) {
        guard mode == .tty else { return }
        if let columns, let rows {
            terminal?.columns = columns
            terminal?.rows = rows
        }
        redraw(now: now)
    }

    /// Takes the live view off the screen: whoever writes next finds an empty line.
    mutating func clear(now: Timestamp) {
        if mode == .tty { redraw(now: now, live: false) }
    }

    /// Says something beside the events: the connection was lost, the build's page.
    mutating func note(_ text: String, now: Timestamp) {
        let text = Printable.line(text)
        switch mode {
        case .plain: write("# \(text)\n")
        case .tty:
            let warning = "warning:"
            let isWarning = text.hasPrefix(warning) && terminal?.colours == true
            redraw(above: [isWarning ? "\u{1B}[33m\(warning)\u{1B}[0m\(text.dropFirst(warning.count))" : text], now: now)
        default: break
        }
    }

    private func writeHeader(_ vertex: BuildView.Vertex) { write("#\(vertex.number) \(vertex.name)\n") }

    private mutating func ended(_ vertex: BuildView.Vertex, now: Timestamp) {
        let seconds = zip(vertex.ended, vertex.started).map { $0.seconds(since: $1) } ?? 0
        switch mode {
        case .plain:
            let outcome =
                switch vertex.status {
                case _ where vertex.cached: "CACHED"
                case .succeeded: "DONE \(Human.duration(seconds))"
                case .cancelled: "CANCELED"
                default: "ERROR: \(Printable.lines(vertex.error ?? "failed").joined(separator: " "))"
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
            redraw(above: [row(mark, colour: colour, vertex.name, right: right)], now: now)
        default: break
        }
    }

    private mutating func finished(at time: Timestamp) {
        clear(now: time)
        if mode == .tty, view.status == .succeeded { write(dim("  \(summary(at: time))") + "\n") }
        guard mode != .rawjson, view.status == .failed else { return }
        write(FailureReport(view: view, source: source, build: build, colours: mode == .tty && terminal?.colours == true).text)
    }

    private func summary(at time: Timestamp) -> String {
        let (all, cached) = (view.stepCount, view.progress.cached)
        var text = "\(all) \(all == 1 ? "step" : "steps")"
        if cached > 0 { text += cached == all ? ", all cached" : ", \(cached) cached" }
        text += " in \(Human.duration(max(0, time.seconds(since: start))))"
        return view.received > 0 ? text + ", received \(Human.bytes(view.received))" : text
    }

    // MARK: The live view

    private mutating func redraw(above: [String] = [], now: Timestamp, live: Bool = true) {
        guard let terminal else {
            if !above.isEmpty { write(above.map { $0 + "\n" }.joined()) }
            return
        }
        let lines = live && !(view.status.isFinal && view.running.isEmpty) ? liveLines(terminal, now: now) : []
        let text = region.update(above: above, lines: lines, columns: terminal.columns)
        if !text.isEmpty { write(text) }
    }

    private func liveLines(_ terminal: Terminal, now: Timestamp) -> [String] {
        let running = view.running
        // The region never scrolls: what has left the screen can't be written over.
        let rows = max(1, terminal.rows - 2)
        let logs = running.isEmpty ? 0 : max(0, min(4, (rows - 1) / running.count - 1))
        var lines: [String] = []
        for vertex in running.prefix(rows - 1) {
            let seconds = vertex.started.map { now.seconds(since: $0) } ?? 0
            let place = vertex.agent.map { "\($0)  " } ?? ""
            lines.append(row("●", colour: "36", vertex.name, right: place + Human.duration(max(0, seconds))))
            for line in vertex.tail.suffix(logs) { lines.append(dim("    " + Printable.cut(line, columns: terminal.columns - 5))) }
        }
        guard !view.status.isFinal else { return lines }
        let state = view.stepCount == 0 ? "planning" : "\(view.progress.ended) of \(view.stepCount) steps"
        let hidden = running.count - running.prefix(rows - 1).count
        let more = hidden > 0 ? ", \(hidden) more running" : ""
        lines.append(dim("  \(state)\(more), \(Human.duration(max(0, now.seconds(since: start))))"))
        return lines
    }

    private func row(_ mark: String, colour: String, _ name: String, right: String) -> String {
        // The last column stays free: some terminals break a line that reaches it.
        let columns = (terminal?.columns ?? 100) - 1
        let room = columns - right.count - 4
        // Where it is too narrow for both, the name counts.
        let right = room < 8 ? "" : right
        let name = Printable.cut(name, columns: room < 8 ? columns - 2 : room)
        let gap = right.isEmpty ? "" : String(repeating: " ", count: max(1, columns - 2 - Printable.columns(name) - right.count))
        return terminal?.colours == true
            ? "\u{1B}[\(colour)m\(mark)\u{1B}[0m \(name)\(gap)\u{1B}[2m\(right)\u{1B}[0m" : "\(mark) \(name)\(gap)\(right)"
    }

    private func dim(_ text: String) -> String { terminal?.colours == true ? "\u{1B}[2m\(text)\u{1B}[0m" : text }
}

private func zip<A, B>(_ a: A?, _ b: B?) -> (A, B)? {
    guard let a, let b else { return nil }
    return (a, b)
}
