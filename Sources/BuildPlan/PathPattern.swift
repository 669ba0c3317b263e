/// A shell-like pattern over slash-separated paths: Go's `filepath.Match`, which is what COPY means by a wildcard, and its extension
/// by `**` that .dockerignore and `--exclude` have.
///
/// `*` is any run of characters but `/`, `?` one character but `/`, `[a-z]` and `[^a-z]` a set, `\` takes the next character as it is.
/// Paths are bytes and need not be UTF-8: a byte that begins no valid sequence counts as a character of its own.
/// Matching takes time in proportion to path × pattern at worst and never recurses.
public struct PathPattern: Hashable, Sendable {
    /// Which language a pattern is written in.
    public enum Syntax: Hashable, Sendable {
        /// COPY and ADD sources: `**` means no more than `*`.
        case copy
        /// .dockerignore and `--exclude`: `**` crosses directories.
        case ignore
    }

    /// As it was given.
    public let text: String
    private let tokens: [Token]

    /// Compiles a pattern, which is taken as it is: not cleaned, no leading slash removed.
    ///
    /// Throws for a set that is empty or not closed and for a backslash at the end.
    public init(_ text: String, syntax: Syntax) throws(PathPatternError) {
        self.text = text
        var compiler = PatternCompiler(text: text, syntax: syntax)
        tokens = try compiler.compile()
    }

    /// True where the pattern has anything but literal characters.
    public var hasWildcards: Bool { literal == nil }

    /// The only path that the pattern matches, escapes removed; nil where it has wildcards.
    public var literal: [UInt8]? {
        var bytes = [UInt8]()
        bytes.reserveCapacity(tokens.count)
        for token in tokens {
            guard case .byte(let byte) = token else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    /// True if the pattern matches the whole path.
    public func matches(_ path: [UInt8]) -> Bool { path.withUnsafeBufferPointer { run($0, until: .end) } }

    /// True if the pattern matches the whole path.
    public func matches(_ path: String) -> Bool { matches(Array(path.utf8)) }

    /// True if the pattern matches the path or one of the directories above it.
    public func matchesPathOrParent(_ path: [UInt8]) -> Bool { path.withUnsafeBufferPointer { run($0, until: .boundary) } }

    /// True if some path below the directory could match.
    public func mayMatchBelow(_ directory: [UInt8]) -> Bool {
        (directory + [slash]).withUnsafeBufferPointer { run($0, until: .possible) }
    }

    private enum Goal {
        /// Pattern and path end together.
        case end
        /// The pattern ends where a component of the path ends.
        case boundary
        /// The path ends while the pattern still fits.
        case possible
    }

    // Two places to go back to suffice: the last `*` (which stays within a component) and, before it, the last token that crosses
    // components. Whatever came earlier was matched as short as possible and nothing is gained by making it longer.
    private func run(_ path: UnsafeBufferPointer<UInt8>, until goal: Goal) -> Bool {
        var position = 0
        var token = 0
        var star: (token: Int, position: Int)?
        var deep: (token: Int, position: Int, components: Bool)?
        while true {
            if goal == .possible, position == path.count { return true }
            if token == tokens.count {
                if position == path.count || (goal == .boundary && position > 0 && path[position] == slash) { return true }
            } else {
                switch tokens[token] {
                case .star:
                    star = (token + 1, position)
                    token += 1
                    continue
                case .anything, .directories:
                    deep = (token + 1, position, tokens[token] == .directories)
                    star = nil
                    token += 1
                    continue
                case .byte(let byte):
                    if position < path.count, path[position] == byte {
                        position += 1
                        token += 1
                        continue
                    }
                case .character:
                    if position < path.count, path[position] != slash {
                        position += character(in: path, at: position).length
                        token += 1
                        continue
                    }
                case .set(let set):
                    if position < path.count, path[position] != slash {
                        let (value, length) = character(in: path, at: position)
                        if set.contains(value) {
                            position += length
                            token += 1
                            continue
                        }
                    }
                }
            }
            // It does not fit here: lengthen the last star by one character, or else the last deep token by one step.
            if let (next, start) = star, start < path.count, path[start] != slash {
                position = start + character(in: path, at: start).length
                star = (next, position)
                token = next
                continue
            }
            guard let (next, start, components) = deep else { return false }
            guard start < path.count else { return false }
            var end = start + 1
            if components {
                while end < path.count, path[end - 1] != slash { end += 1 }
                if path[end - 1] != slash { return false }
            }
            position = end
            deep = (next, end, components)
            star = nil
            token = next
        }
    }

    // The character at a position: a whole UTF-8 sequence, or one byte (above U+10FFFF) where there is no valid one.
    private func character(in path: UnsafeBufferPointer<UInt8>, at position: Int) -> (value: UInt32, length: Int) {
        let first = path[position]
        if first < 0x80 { return (UInt32(first), 1) }
        var decoder = UTF8()
        var bytes = path[position..<min(position + 4, path.count)].makeIterator()
        if case .scalarValue(let scalar) = decoder.decode(&bytes) { return (scalar.value, UTF8.width(scalar)) }
        return (0x11_0000 + UInt32(first), 1)
    }
}

/// A pattern that can't be read.
public struct PathPatternError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The whole pattern.
    public let pattern: String
    /// What is wrong with it.
    public let reason: String

    /// The pattern and what is wrong.
    public var description: String { "pattern '\(pattern)': \(reason)" }
}

private let slash = UInt8(ascii: "/")

private enum Token: Hashable, Sendable {
    case byte(UInt8)
    /// `?`
    case character
    case set(PatternSet)
    /// `*`: any run within a component.
    case star
    /// `**` at the end: anything, slashes too.
    case anything
    /// `**/`: any number of whole components, none too.
    case directories
}

private struct PatternSet: Hashable, Sendable {
    var negated = false
    var ranges: [ClosedRange<UInt32>] = []

    func contains(_ value: UInt32) -> Bool { ranges.contains { $0.contains(value) } != negated }
}

private struct PatternCompiler {
    private let text: String
    private let scalars: [Unicode.Scalar]
    private let syntax: PathPattern.Syntax
    private var position = 0

    init(text: String, syntax: PathPattern.Syntax) {
        self.text = text
        self.scalars = Array(text.unicodeScalars)
        self.syntax = syntax
    }

    mutating func compile() throws(PathPatternError) -> [Token] {
        var tokens: [Token] = []
        while let scalar = next() {
            switch scalar {
            case "*":
                guard peek == "*" else {
                    tokens.append(.star)
                    continue
                }
                guard syntax == .ignore else { continue }
                position += 1
                tokens.append(doubleStar(isFirst: position == 2))
            case "?": tokens.append(.character)
            case "[": tokens.append(.set(try set()))
            case "\\":
                guard let escaped = next() else { throw error("a backslash at the end escapes nothing") }
                tokens.append(contentsOf: literal(escaped))
            default: tokens.append(contentsOf: literal(scalar))
            }
        }
        return tokens
    }

    private var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func next() -> Unicode.Scalar? {
        guard let scalar = peek else { return nil }
        position += 1
        return scalar
    }

    private func literal(_ scalar: Unicode.Scalar) -> [Token] { UTF8.encode(scalar).map { $0.map { .byte($0) } } ?? [] }

    private func error(_ reason: String) -> PathPatternError { PathPatternError(pattern: text, reason: reason) }

    // As users of .dockerignore know it: `**/x` and `a**/x` match at any depth, `a/**` everything below, and `**.go` (a plain
    // suffix) every path that ends so.
    private mutating func doubleStar(isFirst: Bool) -> Token {
        while peek == "*" { position += 1 }
        let hadSlash = peek == "/"
        if hadSlash { position += 1 }
        guard position < scalars.count else { return .anything }
        let restIsLiteral = !scalars[position...].contains { $0 == "*" || $0 == "?" || $0 == "[" || $0 == "\\" }
        return isFirst && !hadSlash && restIsLiteral ? .anything : .directories
    }

    private mutating func set() throws(PathPatternError) -> PatternSet {
        var set = PatternSet()
        if peek == "^" {
            set.negated = true
            position += 1
        }
        while !(peek == "]" && !set.ranges.isEmpty) {
            let low = try setMember()
            var high = low
            if peek == "-" {
                position += 1
                high = try setMember()
            }
            // A range that is the wrong way round holds nothing, as in Go.
            set.ranges.append(low <= high ? low...high : UInt32.max...UInt32.max)
        }
        position += 1
        return set
    }

    private mutating func setMember() throws(PathPatternError) -> UInt32 {
        guard let scalar = next() else { throw error("a set that '[' opens is not closed by ']'") }
        switch scalar {
        case "-", "]": throw error("'\(scalar)' in a set needs a backslash before it")
        case "\\":
            guard let escaped = next() else { throw error("a backslash at the end escapes nothing") }
            return escaped.value
        default: return scalar.value
        }
    }
}
