/// What is wrong in a Dockerfile, or between it and the options of the build.
public struct DockerfileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file's name as it was given.
    public let file: String
    /// The offending text and what was expected.
    public let message: String
    /// The lines of the instruction, from 1; nil where no line is at fault.
    public let lines: ClosedRange<Int>?

    /// `Dockerfile:3: unknown instruction: RUNN (did you mean RUN?)`
    public var description: String { lines.map { "\(file):\($0.lowerBound): \(message)" } ?? "\(file): \(message)" }

    init(file: String, message: String, lines: ClosedRange<Int>?) {
        self.file = file
        self.message = message
        self.lines = lines
    }
}

/// What is wrong with a part of an instruction; whoever knows its lines makes a ``DockerfileError`` of it.
struct Complaint: Error, Hashable {
    let message: String

    init(_ message: String) { self.message = message }

    /// For a word that is none of the known ones.
    init(_ message: String, _ word: String, among known: [String]) {
        self.message = Nearest.word(to: word, among: known).map { "\(message) (did you mean \($0)?)" } ?? message
    }
}

/// Suggestions for mistyped words.
enum Nearest {
    /// Words longer than this are no typing mistakes, and the comparison takes quadratic time.
    private static let maximumLength = 40
    /// More changes than this make another word.
    private static let maximumDistance = 2

    /// The known word with the fewest letters to insert, delete, replace or exchange; nil when none is near.
    static func word(to word: String, among known: [String]) -> String? {
        let typed = Array(word.lowercased().utf8)
        guard !typed.isEmpty, typed.count <= maximumLength else { return nil }
        let ranked = known.map { ($0, distance(typed, Array($0.lowercased().utf8))) }
        guard let (best, distance) = ranked.min(by: { $0.1 < $1.1 }) else { return nil }
        return distance <= min(maximumDistance, max(1, typed.count / 2)) ? best : nil
    }

    // Two neighbours exchanged count as one change: that is the commonest mistake.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var before = [Int](repeating: 0, count: b.count + 1)
        var row = Array(0...b.count)
        for i in a.indices {
            var next = [i + 1]
            for j in b.indices {
                var best = min(row[j] + (a[i] == b[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
                next.append(best)
            }
            (before, row) = (row, next)
        }
        return row[b.count]
    }
}
