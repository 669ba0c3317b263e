/// Reads RE2's language. What other languages have beyond it (looking ahead and behind, references back) is refused, as RE2 does.
struct RegexParser {
    private let text: [Unicode.Scalar]
    private var position = 0
    private(set) var names: [String: Int] = [:]
    private(set) var groupCount = 0
    private var nesting = 0
    private var flags = Flags()

    private struct Flags {
        var foldsCase = false
        var isMultiline = false
        var dotTakesNewline = false
        var isUngreedy = false
    }

    init(_ text: [Unicode.Scalar]) { self.text = text }

    mutating func parse() throws -> RegexNode {
        let node = try alternatives()
        guard position == text.count else { throw error("unexpected )", from: position) }
        return node
    }

    private func error(_ message: String, from start: Int, to end: Int? = nil) -> Complaint {
        let part = text[min(start, text.count)..<min(text.count, max(start, end ?? text.count))].prefix(60)
        return Complaint("error parsing regexp: \(message): `\([UInt8](scalars: part).string)`")
    }

    private func peek(_ offset: Int = 0) -> Unicode.Scalar? { position + offset < text.count ? text[position + offset] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek() == scalar else { return false }
        position += 1
        return true
    }

    // MARK: Structure

    private mutating func alternatives() throws -> RegexNode {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Limits.nesting else { throw error("expression nests too deeply", from: position) }
        var ways = [try sequence()]
        while take("|") { ways.append(try sequence()) }
        return ways.count == 1 ? ways[0] : .alternatives(ways)
    }

    private mutating func sequence() throws -> RegexNode {
        var nodes: [RegexNode] = []
        while let next = peek(), next != "|", next != ")" {
            let start = position
            guard let atom = try atom() else { continue }
            nodes.append(try repetition(of: atom, from: start))
        }
        return nodes.count == 1 ? nodes[0] : nodes.isEmpty ? .empty : .sequence(nodes)
    }

    private mutating func repetition(of atom: RegexNode, from start: Int) throws -> RegexNode {
        guard let (minimum, maximum) = try quantifier() else { return atom }
        let isLazy = take("?") != flags.isUngreedy
        let mark = position
        if try quantifier() != nil { throw error("invalid nested repetition operator", from: start, to: position) }
        position = mark
        return .repeated(atom, minimum: minimum, maximum: maximum, isLazy: isLazy)
    }

    private mutating func quantifier() throws -> (Int, Int?)? {
        switch peek() {
        case "*":
            position += 1
            return (0, nil)
        case "+":
            position += 1
            return (1, nil)
        case "?":
            position += 1
            return (0, 1)
        case "{": return try counted()
        default: return nil
        }
    }

    /// `{n}`, `{n,}`, `{n,m}`; anything else is an ordinary brace.
    private mutating func counted() throws -> (Int, Int?)? {
        let start = position
        position += 1
        func number() -> Int? {
            var value: Int?
            while let digit = peek(), digit.isASCII, UInt8(ascii: digit).isDigit {
                value = min((value ?? 0) * 10 + Int(digit.value - 0x30), Limits.regexRepetitions + 1)
                position += 1
            }
            return value
        }
        let minimum = number()
        let hasComma = take(",")
        let maximum = hasComma ? number() : minimum
        guard let minimum, take("}") else {
            position = start
            return nil
        }
        if minimum > Limits.regexRepetitions || maximum ?? 0 > Limits.regexRepetitions || maximum.map({ $0 < minimum }) ?? false {
            throw error("invalid repeat count", from: start, to: position)
        }
        return (minimum, maximum)
    }

    /// Nil where only flags were set.
    private mutating func atom() throws -> RegexNode? {
        let start = position
        guard let scalar = peek() else { return nil }
        position += 1
        switch scalar {
        case "(": return try group(from: start)
        case "[": return .set(try characterClass(from: start))
        case ".": return .set(flags.dotTakesNewline ? ScalarSet([0...0x10ffff]) : ScalarSet([10...10], isNegated: true))
        case "^": return .assertion(flags.isMultiline ? .lineStart : .textStart)
        case "$": return .assertion(flags.isMultiline ? .lineEnd : .textEnd)
        case "*", "+", "?": throw error("missing argument to repetition operator", from: start, to: position)
        case "{":
            position = start
            if try counted() != nil { throw error("missing argument to repetition operator", from: start, to: position) }
            position = start + 1
            return .set(ScalarSet("{", foldsCase: false))
        case "\\": return try escape(from: start)
        default: return .set(ScalarSet(scalar, foldsCase: flags.foldsCase))
        }
    }

    private mutating func group(from start: Int) throws -> RegexNode? {
        let outer = flags
        var number: Int?
        if take("?") {
            if take("P") || (peek() == "<" && peek(1) != "=" && peek(1) != "!") {
                guard take("<") else { throw error("invalid or unsupported Perl syntax", from: start, to: position + 1) }
                number = try named(from: start)
            } else if try setFlags(from: start) {
                return nil
            }
        } else {
            groupCount += 1
            number = groupCount
        }
        let inner = try alternatives()
        guard take(")") else { throw error("missing closing )", from: start) }
        flags = outer
        return number.map { .group(inner, number: $0) } ?? .sequence([inner])
    }

    private mutating func named(from start: Int) throws -> Int {
        let nameStart = position
        while let next = peek(), next != ">" { position += 1 }
        let name = text[nameStart..<position]
        guard take(">"), !name.isEmpty, name.allSatisfy(ScalarSet.isWord) else {
            throw error("invalid named capture", from: start, to: position)
        }
        groupCount += 1
        let key = [UInt8](scalars: name).string
        guard names[key] == nil else { throw error("duplicate capture group name", from: nameStart, to: position - 1) }
        names[key] = groupCount
        return groupCount
    }

    /// `(?i)` and `(?i:`: whether the group ended with the flags.
    private mutating func setFlags(from start: Int) throws -> Bool {
        var value = true
        while let flag = peek() {
            position += 1
            switch flag {
            case "i": flags.foldsCase = value
            case "m": flags.isMultiline = value
            case "s": flags.dotTakesNewline = value
            case "U": flags.isUngreedy = value
            case "-" where value: value = false
            case ":": return false
            case ")" where position - start > 3: return true
            default: throw error("invalid or unsupported Perl syntax", from: start, to: position)
            }
        }
        throw error("missing closing )", from: start)
    }

    // MARK: Characters

    private mutating func escape(from start: Int) throws -> RegexNode {
        guard let letter = peek() else { throw Complaint("error parsing regexp: trailing backslash at end of expression: ``") }
        switch letter {
        case "A":
            position += 1
            return .assertion(.textStart)
        case "z":
            position += 1
            return .assertion(.textEnd)
        case "b":
            position += 1
            return .assertion(.wordBoundary)
        case "B":
            position += 1
            return .assertion(.noWordBoundary)
        case "Q":
            position += 1
            var nodes: [RegexNode] = []
            while let next = peek(), !(next == "\\" && peek(1) == "E") {
                nodes.append(.set(ScalarSet(next, foldsCase: flags.foldsCase)))
                position += 1
            }
            position = min(text.count, position + 2)
            return .sequence(nodes)
        default:
            if var set = try classEscape(from: start) {
                set.foldsCase = flags.foldsCase
                return .set(set)
            }
            return .set(ScalarSet(try single(from: start), foldsCase: flags.foldsCase))
        }
    }

    /// `\d` and `\pL`, whose backslash is read; nil when the letter starts none.
    private mutating func classEscape(from start: Int) throws -> ScalarSet? {
        guard let letter = peek() else { return nil }
        if let set = ScalarSet.perl(letter) {
            position += 1
            return set
        }
        guard letter == "p" || letter == "P" else { return nil }
        position += 1
        var name: [Unicode.Scalar] = []
        if take("{") {
            while let next = peek(), next != "}" {
                name.append(next)
                position += 1
            }
            guard take("}") else { throw error("invalid character class range", from: start) }
        } else if let next = peek() {
            name = [next]
            position += 1
        }
        var isNegated = letter == "P"
        if name.first == "^" {
            name.removeFirst()
            isNegated.toggle()
        }
        guard var set = ScalarSet.unicode([UInt8](scalars: name).string) else {
            throw error("a class of Unicode that is not supported (general categories are)", from: start, to: position)
        }
        set.isNegated = isNegated
        return set
    }

    /// One character by its escape, whose backslash is read.
    private mutating func single(from start: Int) throws -> Unicode.Scalar {
        guard let letter = peek() else { throw error("invalid escape sequence", from: start) }
        position += 1
        switch letter {
        case "a": return "\u{7}"
        case "f": return "\u{c}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "v": return "\u{b}"
        case "0"..."7":
            var value = letter.value - 0x30
            // One digit alone would be a reference back, but for zero.
            guard letter == "0" || peek().map({ ("0"..."7").contains($0) }) ?? false else { break }
            for _ in 0..<2 {
                guard let digit = peek(), ("0"..."7").contains(digit) else { break }
                value = value * 8 + digit.value - 0x30
                position += 1
            }
            if let scalar = Unicode.Scalar(value) { return scalar }
        case "x":
            var digits = ""
            if take("{") {
                while let digit = peek(), digit != "}", digits.utf8.count < 8 {
                    digits.unicodeScalars.append(digit)
                    position += 1
                }
                guard take("}") else { break }
            } else {
                for _ in 0..<2 {
                    guard let digit = peek() else { break }
                    digits.unicodeScalars.append(digit)
                    position += 1
                }
                guard digits.utf8.count == 2 else { break }
            }
            if let scalar = UInt32(digits, radix: 16).flatMap({ Unicode.Scalar($0) }) { return scalar }
        case _ where letter.isASCII && !ScalarSet.isWord(letter): return letter
        default: break
        }
        throw error("invalid escape sequence", from: start, to: position)
    }

    private mutating func characterClass(from start: Int) throws -> ScalarSet {
        var set = ScalarSet([])
        set.isNegated = take("^")
        set.foldsCase = flags.foldsCase
        var isFirst = true
        while let next = peek(), next != "]" || isFirst {
            isFirst = false
            let itemStart = position
            if next == "[", peek(1) == ":", let end = text[position...].indices.first(where: { $0 > position + 1 && text[$0] == "]" }),
                text[end - 1] == ":", end - 1 > position + 1
            {
                var name = text[(position + 2)..<(end - 1)]
                let isNegated = name.first == "^"
                if isNegated { name = name.dropFirst() }
                position = end + 1
                guard var inner = ScalarSet.posix([UInt8](scalars: name).string) else {
                    throw error("invalid character class range", from: itemStart, to: position)
                }
                inner.isNegated = isNegated
                set.parts.append(.inner(inner))
                continue
            }
            if next == "\\" {
                position += 1
                if let inner = try classEscape(from: itemStart) {
                    set.parts.append(.inner(inner))
                    continue
                }
                position -= 1
            }
            let low = try classCharacter()
            var high = low
            if peek() == "-", let after = peek(1), after != "]" {
                position += 1
                high = try classCharacter()
                guard low <= high else { throw error("invalid character class range", from: itemStart, to: position) }
            }
            set.parts.append(.range(low.value...high.value))
        }
        guard take("]") else { throw error("missing closing ]", from: start) }
        return set
    }

    private mutating func classCharacter() throws -> Unicode.Scalar {
        let start = position
        guard let scalar = peek() else { throw error("missing closing ]", from: start) }
        position += 1
        return scalar == "\\" ? try single(from: start) : scalar
    }
}
