import BuildPlan
import FarmAPI
import Glibc

/// Standard error while a build runs: one owner for all that is drawn.
actor Screen {
    private var printer: ProgressPrinter
    private var ticker: Task<Void, Never>?

    /// The live view is drawn ten times a second: smooth, and nothing for a terminal.
    private static let refresh: Duration = .milliseconds(100)

    init(mode: ProgressMode, source: BuildSource, environment: [String: String]) {
        printer = ProgressPrinter(
            mode: mode, terminal: Self.terminal(environment), source: .init(name: source.dockerfileName, text: source.dockerfile),
            start: .now()
        ) { text in Self.write(text) }
    }

    func startTicking() {
        ticker = Task { [weak self] in
            while !Task.isCancelled {
                await self?.tick()
                try? await Task.sleep(for: Self.refresh)
            }
        }
    }

    func stop() { ticker?.cancel() }

    func begin(_ name: String) -> Int { printer.begin(name, at: .now()) }
    func end(_ vertex: Int, error: String? = nil) { printer.end(vertex, at: .now(), error: error) }
    func handle(_ event: BuildEvent) { printer.handle(event) }
    func note(_ text: String) { printer.note(text, now: .now()) }
    private func tick() { printer.tick(now: .now()) }

    private static func terminal(_ environment: [String: String]) -> ProgressPrinter.Terminal? {
        guard isatty(STDERR_FILENO) == 1, environment["TERM"] != "dumb" else { return nil }
        var size = winsize()
        let known = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 0
        return .init(
            columns: known ? Int(size.ws_col) : 80, rows: known ? Int(size.ws_row) : 24,
            colours: environment["NO_COLOR", default: ""].isEmpty)
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
