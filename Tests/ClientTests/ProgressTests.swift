import BuildPlan
import FarmAPI
import Testing

@testable import Client

@Suite struct ProgressTests {
    private func event(_ sequence: Int, _ milliseconds: Int64, _ kind: BuildEvent.Kind) -> BuildEvent {
        BuildEvent(sequence: sequence, time: Timestamp(nanoseconds: milliseconds * 1_000_000), kind: kind)
    }

    private var events: [BuildEvent] {
        [
            event(1, 0, .planned(stages: [.init(name: "build", steps: ["[1/2] COPY . .", "[2/2] RUN make"], lines: [2...2, 3...4])])),
            event(2, 0, .stageStarted(stage: 0, agent: "agent-1", attempt: 1)),
            event(
                3, 10, .stepFinished(stage: 0, step: 0, status: .succeeded, cached: true, exitCode: nil, error: nil, bytes: ReceivedBytes())
            ),
            event(4, 100, .stepStarted(stage: 0, step: 1)),
            event(5, 223, .log(stage: 0, step: 1, text: "one\ntw")),
            event(6, 300, .log(stage: 0, step: 1, text: "o\n\u{1B}[31mred\u{1B}[0m")),
            event(
                7, 1300,
                .stepFinished(stage: 0, step: 1, status: .failed, cached: false, exitCode: 2, error: "exit code: 2", bytes: ReceivedBytes())
            ),
            event(
                8, 1300,
                .finished(
                    status: .failed, error: BuildFailure(message: "[2/2] RUN make: exit code: 2", lines: 3...4, exitCode: 2), image: nil)),
        ]
    }

    private func print(_ mode: ProgressMode, terminal: ProgressPrinter.Terminal? = nil) -> String {
        var text = ""
        let source = ProgressPrinter.SourceText(name: "Dockerfile", text: "FROM x\nCOPY . .\nRUN make \\\n  all\nCMD y\n")
        withUnsafeMutablePointer(to: &text) { pointer in
            // The printer lives no longer than this closure.
            nonisolated(unsafe) let pointer = pointer
            var printer = ProgressPrinter(mode: mode, terminal: terminal, source: source, start: .epoch) { pointer.pointee += $0 }
            for event in events { printer.handle(event) }
        }
        return text
    }

    @Test func `plain progress numbers steps, times lines, and ends with the place of the failure`() {
        #expect(
            print(.plain) == """
                #1 [1/2] COPY . .
                #1 CACHED

                #2 [2/2] RUN make
                #2 0.123 one
                #2 0.200 two
                #2 1.200 red
                #2 ERROR: exit code: 2

                ------
                 > [2/2] RUN make:
                one
                two
                red
                ------
                Dockerfile:3
                --------------------
                   1 |     FROM x
                   2 |     COPY . .
                   3 | >>> RUN make \\
                   4 | >>>   all
                   5 |     CMD y
                --------------------
                ERROR: [2/2] RUN make: exit code: 2

                """)
    }

    @Test func `steps have their number of the plan, whichever begins first, and what the client does comes before and after`() {
        var view = BuildView()
        _ = view.begin("load context", at: .epoch)
        _ = view.apply(
            event(
                1, 0,
                .planned(stages: [
                    .init(name: "a", steps: ["a1", "a2"], lines: [2...2, 3...3]), .init(name: "b", steps: ["b1"], lines: [5...5]),
                ])))
        _ = view.apply(event(2, 0, .stepStarted(stage: 1, step: 0)))
        _ = view.apply(event(3, 0, .stepStarted(stage: 0, step: 1)))
        _ = view.begin("export", at: .epoch)
        _ = view.begin("export again", at: .epoch)
        #expect(view.vertices.map(\.number) == [0, 3, 2, 4, 5])
    }

    @Test func `steps that ran when the build ended are cancelled, and said to be`() {
        var view = BuildView()
        for event in events.prefix(4) { _ = view.apply(event) }
        let changes = view.apply(event(5, 500, .finished(status: .failed, error: nil, image: nil)))
        #expect(changes == [.ended(vertex: 1), .finished])
        #expect(view.vertices[1].status == .cancelled)
    }

    @Test func `a failure says how many lines it leaves out, and which command has them`() {
        var view = BuildView()
        for event in events.prefix(4) { _ = view.apply(event) }
        _ = view.apply(event(5, 200, .log(stage: 0, step: 1, text: (1...30).map { "line \($0)\n" }.joined())))
        for event in events.suffix(2) { _ = view.apply(event) }
        let text = FailureReport(view: view, source: .init(name: "Dockerfile", text: "FROM x\n"), build: "b1", colours: false).text
        #expect(text.contains("(the last 20 of 30 lines; all: farm logs --step 2 b1)\nline 11\n"), "\(text)")
        #expect(!text.contains("line 10\n"))
    }

    @Test func `a message of others can't steer the terminal`() {
        var view = BuildView()
        _ = view.apply(event(1, 0, .finished(status: .failed, error: BuildFailure(message: "a\u{1B}[2Jb\nc\u{9B}31m"), image: nil)))
        let text = FailureReport(view: view, source: .init(name: "Dockerfile", text: ""), build: nil, colours: false).text
        #expect(text == "ERROR: ab\nc31m\n")
    }

    @Test(arguments: [("abc", 3), ("漢字", 4), ("e\u{301}", 1), ("\u{301}", 0), ("✅", 2), ("🇩🇪", 2), ("●✔…", 3)])
    func `the columns of a text are those that a terminal gives it`(text: String, columns: Int) {
        #expect(Printable.columns(text) == columns)
    }

    @Test func `random lines are cut to the columns that there are`() {
        var generator = SeededGenerator(seed: 11)
        let characters = Array("ab漢字é✅ …") + ["e\u{301}"]
        for _ in 0..<2_000 {
            let text = String(
                (0..<Int.random(in: 0...30, using: &generator)).compactMap { _ in characters.randomElement(using: &generator) })
            let columns = Int.random(in: 0...40, using: &generator)
            let cut = Printable.cut(text, columns: columns)
            #expect(Printable.columns(cut) <= columns)
            #expect(cut == text || Printable.columns(text) > columns)
        }
    }

    @Test func `quiet progress says nothing but the failure`() {
        let text = print(.quiet)
        #expect(text.hasPrefix("------\n > [2/2] RUN make"))
        #expect(text.hasSuffix("ERROR: [2/2] RUN make: exit code: 2\n"))
    }

    @Test func `raw progress is one JSON event a line`() throws {
        let lines = print(.rawjson).split(separator: "\n")
        #expect(lines.count == events.count)
        for (line, event) in zip(lines, events) {
            #expect(try FarmJSON.decode(BuildEvent.self, from: Array(line.utf8)).sequence == event.sequence)
        }
    }

    @Test(arguments: [true, false])
    func `the live view fits the terminal, and has colours only where they may be`(colours: Bool) {
        let text = print(.tty, terminal: .init(columns: 40, rows: 10, colours: colours))
        #expect(text.contains("\u{1B}[32m") == colours)
        var plain = text
        while let escape = plain.range(of: "\u{1B}["), let end = plain[escape.upperBound...].firstIndex(where: \.isLetter) {
            plain.removeSubrange(escape.lowerBound...end)
        }
        let live = plain.split(separator: "------").first ?? ""
        for line in live.split(whereSeparator: { $0 == "\n" || $0 == "\r" }) { #expect(line.count < 40, "\(line)") }
    }

    @Test func `the live region goes back over exactly the rows that it has, broken by a narrower terminal too`() {
        var region = LiveRegion()
        #expect(region.update(lines: ["0123456789", "漢字"], columns: 20).hasPrefix("\r\u{1B}[?7l0123456789\u{1B}[K\n"))
        #expect(region.update(lines: ["0123456789", "漢字"], columns: 20).isEmpty)
        #expect(region.update(above: ["done"], lines: ["\u{1B}[2m0123456789\u{1B}[0m"], columns: 20).hasPrefix("\u{1B}[2A\rdone\u{1B}[K\n"))
        #expect(region.update(lines: ["x"], columns: 4).hasPrefix("\u{1B}[3A\r"))
        #expect(region.update(lines: [], columns: 4) == "\u{1B}[1A\r\u{1B}[J")
        #expect(region.update(lines: [], columns: 4).isEmpty)
    }

    @Test func `a stage that is tried again shows its step again`() {
        var view = BuildView()
        for event in events.prefix(4) { _ = view.apply(event) }
        #expect(view.running.map(\.name) == ["[2/2] RUN make"])
        #expect(
            view.apply(event(9, 500, .stageRetried(stage: 0, reason: "agent-1 is lost"))) == [
                .note("build is tried again: agent-1 is lost")
            ])
        #expect(view.running.isEmpty)
        _ = view.apply(event(10, 600, .stepStarted(stage: 0, step: 1)))
        #expect(view.running.count == 1 && view.vertices.count == 2)
    }

    @Test func `a step that another build runs is shown as it runs there, and ends as cached`() {
        var view = BuildView()
        for event in events.prefix(4) { _ = view.apply(event) }
        _ = view.apply(event(9, 500, .stageRetried(stage: 0, reason: "agent-1 is lost")))
        let changes = view.apply(event(10, 600, .stepShared(stage: 0, step: 1, build: "other", agent: "agent-2")))
        #expect(changes.contains(.note("#2 runs in build other already, on agent-2: shared")), "\(changes)")
        #expect(view.running.map(\.agent) == ["agent-2"])
        _ = view.apply(event(11, 700, .log(stage: 0, step: 1, text: "from there\n")))
        #expect(view.running.first?.tail.last == "from there")
        _ = view.apply(
            event(
                12, 800,
                .stepFinished(stage: 0, step: 1, status: .succeeded, cached: true, exitCode: nil, error: nil, bytes: ReceivedBytes())))
        #expect(view.running.isEmpty && view.vertices.last?.cached == true)
    }

    @Test(arguments: [
        ("plain", "plain"), ("\u{1B}[1;31mred\u{1B}[0m", "red"), ("\u{1B}]0;title\u{07}text", "text"), ("10%\r20%\r100%", "100%"),
        ("end\r", "end"),
        ("a\tb", "a    b"), ("bell\u{07}", "bell"), ("\u{202E}txet", "txet"), ("\u{1B}[", ""), ("\u{1B}", ""), ("ünïcödé 漢字", "ünïcödé 漢字"),
        ("\u{9B}31mx", "31mx"), ("a\u{0}b", "ab"),
    ])
    func `output of others can't steer the terminal`(text: String, shown: String) {
        #expect(Printable.line(text) == shown)
    }

    @Test func `random output never leaves a control character`() {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<2_000 {
            let scalars = (0..<Int.random(in: 0...40, using: &generator)).compactMap { _ in
                Unicode.Scalar(UInt32.random(in: 0...0x2FF, using: &generator))
            }
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars)
            let line = Printable.line(String(view))
            #expect(!line.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        }
    }

    @Test(arguments: [
        (0.04, "0.0s"), (1.25, "1.3s"), (59.94, "59.9s"), (60, "1m00s"), (3_599, "59m59s"), (3_600, "1h00m"), (90_061, "25h01m"),
    ])
    func `durations are short`(seconds: Double, text: String) { #expect(Human.duration(seconds) == text) }

    @Test(arguments: [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (999_999, "1.0 MB"), (1_500_000, "1.5 MB"), (Int64.max, "9223.4 PB")])
    func `sizes are short`(bytes: Int64, text: String) { #expect(Human.bytes(bytes) == text) }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
