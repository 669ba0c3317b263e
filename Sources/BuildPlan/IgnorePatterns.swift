/// The rules of a .dockerignore file, or of `--exclude`: which paths of a tree are left out.
///
/// A rule holds for a path when it matches the path or a directory above it; of all that hold the last one counts, and one that begins
/// with `!` takes the path in again.
public struct IgnorePatterns: Hashable, Sendable {
    /// What becomes of a path.
    public enum Decision: Hashable, Sendable {
        /// It is part of the tree.
        case include
        /// It is not, and nothing below it is.
        case exclude
        /// A directory that is not part itself, but a later `!` rule may take something below it in: walk it, and keep it only if so.
        case excludeButDescend
    }

    private struct Rule: Hashable, Sendable {
        let pattern: PathPattern
        let takesIn: Bool
    }
    private let rules: [Rule]

    /// No rules: everything is included.
    public init() { rules = [] }

    /// Rules as the lines of .dockerignore give them, without comments.
    public init(patterns: [String]) throws(IgnoreFileError) {
        try self.init(numbered: patterns.enumerated().map { ($0.offset + 1, $0.element) })
    }

    /// Reads a .dockerignore: one rule a line, `#` begins a comment line, spaces around a rule, a byte order mark and a slash in front don't count.
    public init(file text: String) throws(IgnoreFileError) {
        var lines: [(Int, String)] = []
        for (index, bytes) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            var line = Substring(bytes)
            if index == 0, line.unicodeScalars.first == "\u{FEFF}" { line.unicodeScalars.removeFirst() }
            if line.utf8.first != UInt8(ascii: "#") { lines.append((index + 1, String(line))) }
        }
        try self.init(numbered: lines)
    }

    private init(numbered lines: [(Int, String)]) throws(IgnoreFileError) {
        var rules: [Rule] = []
        for (number, line) in lines {
            var text = Self.trimmed(line)
            guard !text.isEmpty else { continue }
            let takesIn = text.utf8.first == UInt8(ascii: "!")
            if takesIn {
                text = Self.trimmed(String(text.dropFirst()))
                guard !text.isEmpty else { throw IgnoreFileError(line: number, reason: "'!' needs a pattern after it") }
            }
            text = CleanPath.clean(text)
            if text.utf8.count > 1, text.utf8.first == UInt8(ascii: "/") { text.removeFirst() }
            do throws(PathPatternError) {
                rules.append(Rule(pattern: try PathPattern(text, syntax: .ignore), takesIn: takesIn))
            } catch {
                throw IgnoreFileError(line: number, reason: error.description)
            }
        }
        self.rules = rules
    }

    /// True if there is no rule at all.
    public var isEmpty: Bool { rules.isEmpty }

    /// What becomes of a path, relative to the tree's root, without a slash in front or at the end. The root itself is always included.
    public func decision(path: [UInt8], isDirectory: Bool) -> Decision {
        guard !path.isEmpty, let last = rules.lastIndex(where: { $0.pattern.matchesPathOrParent(path) }) else { return .include }
        if rules[last].takesIn { return .include }
        guard isDirectory else { return .exclude }
        let later = rules[(last + 1)...].contains { $0.takesIn && $0.pattern.mayMatchBelow(path) }
        return later ? .excludeButDescend : .exclude
    }

    /// What becomes of a path, relative to the tree's root, without a slash in front or at the end. The root itself is always included.
    public func decision(path: String, isDirectory: Bool) -> Decision { decision(path: Array(path.utf8), isDirectory: isDirectory) }

    private static func trimmed(_ text: String) -> String {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        let bytes = Substring(text).utf8
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) }) else { return "" }
        return String(Substring(bytes[first...last]))
    }
}

/// A .dockerignore or `--exclude` that can't be read.
public struct IgnoreFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1.
    public let line: Int
    /// What is wrong there.
    public let reason: String

    /// The line and what is wrong.
    public var description: String { "line \(line): \(reason)" }
}
