import BuildPlan
import FarmAPI
import Glibc

/// Standard error while a build runs: one owner for all that is drawn.
actor Screen {
    private var printer: ProgressPrinter
    private var ticker: Task<Void, Never>?

    /// The live view is drawn ten times a second: smooth, and nothing for a terminal.
    private static let refresh: Duration = .milliseconds(100)

    init(mode: ProgressMode, environment: [String: String]) {
        printer = ProgressPrinter(mode: mode, terminal: Self.terminal(environment), start: .now()) { text in Self.write(text) }
    }

    /// What failures are shown in.
    func show(_ source: BuildSource) { printer.source = .init(name: source.name, text: source.text, hint: { source.hint(about: $0) }) }

    func startTicking() {
        ticker = Task { [weak self] in
            while !Task.isCancelled {
                await self?.tick()
                try? await Task.sleep(for: Self.refresh)
            }
        }
    }

    /// Nothing is drawn any more, and what is written next begins a line.
    func stop() {
        ticker?.cancel()
        ticker = nil
        printer.clear(now: .now())
    }

    func begin(_ name: String) -> Int { printer.begin(name, at: .now()) }
    func end(_ vertex: Int, error: String? = nil) { printer.end(vertex, at: .now(), error: error) }
    func handle(_ event: BuildEvent) { printer.handle(event) }
    func note(_ text: String) { printer.note(text, now: .now()) }
    func accepted(_ build: String, page: String) { printer.accepted(build, page: page, now: .now()) }

    // Asked each time: windows change their size.
    private func tick() {
        guard ticker != nil else { return }
        let size = Self.size(of: STDERR_FILENO)
        printer.tick(now: .now(), columns: size?.columns, rows: size?.rows)
    }

    /// The terminal's size; nil where the descriptor is no terminal.
    static func size(of descriptor: Int32) -> (columns: Int, rows: Int)? {
        var size = winsize()
        guard isatty(descriptor) == 1, ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    private static func terminal(_ environment: [String: String]) -> ProgressPrinter.Terminal? {
        guard isatty(STDERR_FILENO) == 1, environment["TERM"] != "dumb" else { return nil }
        let size = size(of: STDERR_FILENO) ?? (80, 24)
        return .init(columns: size.columns, rows: size.rows, colours: environment["NO_COLOR", default: ""].isEmpty)
    }

    /// Writes all of the text; an error means that nobody reads it, which is no reason to end a build.
    static func write(_ text: String, to descriptor: Int32 = STDERR_FILENO) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

extension Timestamp {
    /// The system's clock.
    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }
}
