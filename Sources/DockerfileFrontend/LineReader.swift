/// One instruction as written: continuation lines joined, comments gone, with the heredocs that follow it.
struct LogicalLine: Hashable {
    /// The instruction's name in upper case.
    let keyword: String
    /// What stands after it, trimmed.
    let arguments: String
    let lines: ClosedRange<Int>
    var heredocs: [Heredoc] = []
}

/// Reads a Dockerfile's text into directives and logical lines, in time proportional to its length.
struct LineReader {
    private(set) var directives = Directives()
    private(set) var lines: [LogicalLine] = []
    /// Lines in which a continued instruction has an empty line: deprecated, since it is easily a mistake.
    private(set) var emptyContinuations: [Int] = []

    private let physical: [ArraySlice<UInt8>]
    private var next = 0

    /// Throws with the lines at fault.
    init(_ text: String) throws(LocatedComplaint) {
        var bytes = text.bytes[...]
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        physical = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if let index = physical.firstIndex(where: { $0.contains(0) }) {
            throw LocatedComplaint(Complaint("the line has a NUL byte: a Dockerfile is UTF-8 text"), index + 1...index + 1)
        }
        try readDirectives()
        while next < physical.count { try readInstruction() }
    }

    private mutating func readDirectives() throws(LocatedComplaint) {
        while next < physical.count {
            do throws(Complaint) {
                guard try directives.read(line: physical[next]) else { return }
            } catch {
                throw LocatedComplaint(error, next + 1...next + 1)
            }
            next += 1
        }
    }

    private mutating func readInstruction() throws(LocatedComplaint) {
        let first = next + 1
        var (text, continues) = continuation(of: takeLine().drop(while: \.isSpace))
        if Self.isComment(text) || (text.isEmpty && !continues) { return }
        while continues, next < physical.count {
            let line = takeLine()
            if Self.isComment(line) { continue }
            if line.trimmed.isEmpty {
                emptyContinuations.append(next)
                continue
            }
            let (more, goesOn) = continuation(of: line)
            text += more
            continues = goesOn
        }
        let trimmed = text.trimmed
        let keyword = trimmed.prefix { !$0.isSpace }
        guard !keyword.isEmpty else { return }
        var logical = LogicalLine(
            keyword: keyword.text.uppercased(), arguments: trimmed[keyword.endIndex...].trimmed.text, lines: first...next)
        if Self.takesHeredocs(logical) { logical = try withHeredocs(logical) }
        lines.append(logical)
    }

    private static func takesHeredocs(_ line: LogicalLine) -> Bool {
        guard ["RUN", "COPY", "ADD", "ONBUILD"].contains(line.keyword), line.arguments.utf8.contains(UInt8(ascii: "<")) else {
            return false
        }
        guard line.keyword == "ONBUILD" else { return true }
        return ["RUN", "COPY", "ADD"].contains(line.arguments.fields.first?.uppercased())
    }

    private mutating func withHeredocs(_ line: LogicalLine) throws(LocatedComplaint) -> LogicalLine {
        var heredocs = Heredoc.announced(in: line.arguments, escape: directives.escape)
        for index in heredocs.indices {
            let terminator = heredocs[index].name.bytes
            var content: [UInt8] = []
            var terminated = false
            while next < physical.count, !terminated {
                let raw = physical[next]
                next += 1
                var candidate = raw.last == UInt8(ascii: "\r") ? raw.dropLast() : raw
                if heredocs[index].stripsTabs { candidate = candidate.drop { $0 == UInt8(ascii: "\t") } }
                terminated = candidate.elementsEqual(terminator)
                if !terminated { content += raw + [UInt8(ascii: "\n")] }
            }
            guard terminated else {
                throw LocatedComplaint(
                    Complaint("heredoc '\(heredocs[index].name)' has no end: expected a line with \(heredocs[index].name) alone"),
                    line.lines)
            }
            heredocs[index].raw = content.text
        }
        return LogicalLine(
            keyword: line.keyword, arguments: line.arguments, lines: line.lines.lowerBound...max(next, line.lines.lowerBound),
            heredocs: heredocs)
    }

    private mutating func takeLine() -> ArraySlice<UInt8> {
        var line = physical[next]
        next += 1
        while line.last == UInt8(ascii: "\r") { line = line.dropLast() }
        return line
    }

    private static func isComment(_ line: some Collection<UInt8>) -> Bool { line.first { !$0.isSpace } == UInt8(ascii: "#") }

    // The line without an escape character at its end (blanks after it don't count); a doubled one doesn't continue the line.
    private func continuation(of line: ArraySlice<UInt8>) -> (text: [UInt8], continues: Bool) {
        var end = line[...]
        while let last = end.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") { end = end.dropLast() }
        guard end.last == directives.escape else { return (Array(line), false) }
        end = end.dropLast()
        return end.last == directives.escape ? (Array(line), false) : (Array(end), true)
    }
}

/// A complaint and the lines that it is about.
struct LocatedComplaint: Error {
    let complaint: Complaint
    let lines: ClosedRange<Int>

    init(_ complaint: Complaint, _ lines: ClosedRange<Int>) {
        self.complaint = complaint
        self.lines = lines
    }
}
