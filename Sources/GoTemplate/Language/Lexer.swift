/// Cuts a template into words, by the rules of Go's text/template: trimming, comments, where a word has to end.
struct Lexer {
    private let source: TemplateSource
    private let bytes: Bytes
    private var position = 0
    private var tokens: [Token] = []
    private var parentheses = 0

    private static let open = Bytes("{{")
    private static let close = Bytes("}}")
    private static let commentStart = Bytes("/*")
    private static let commentEnd = Bytes("*/")

    private init(_ source: TemplateSource) {
        self.source = source
        bytes = source.bytes
    }

    /// All words; the last is ``Token/Kind/end``.
    static func tokens(of source: TemplateSource) throws(TemplateError) -> [Token] {
        var lexer = Lexer(source)
        try lexer.run()
        return lexer.tokens
    }

    private mutating func run() throws(TemplateError) {
        var trimsStart = false
        while true {
            let start = position
            let opening = next(Self.open, from: position)
            var end = opening ?? bytes.count
            let trimsEnd = opening.map { isTrimMarker(at: $0 + 2) } ?? false
            if trimsEnd { while end > start, bytes[end - 1].isTemplateSpace { end -= 1 } }
            var begin = start
            if trimsStart { while begin < end, bytes[begin].isTemplateSpace { begin += 1 } }
            if begin < end { append(.text, begin, end) }
            guard let opening else { break }
            position = opening + 2 + (trimsEnd ? 2 : 0)
            if starts(with: Self.commentStart, at: position) {
                trimsStart = try comment()
            } else {
                append(.leftDelimiter, opening, opening + 2)
                trimsStart = try action(from: opening)
            }
        }
        append(.end, bytes.count, bytes.count)
    }

    private func isTrimMarker(at offset: Int) -> Bool {
        offset + 1 < bytes.count && bytes[offset] == UInt8(ascii: "-") && bytes[offset + 1].isTemplateSpace
    }

    private func starts(with pattern: Bytes, at offset: Int) -> Bool {
        offset + pattern.count <= bytes.count && bytes[offset..<(offset + pattern.count)].elementsEqual(pattern)
    }

    private func next(_ pattern: Bytes, from offset: Int) -> Int? {
        var index = offset
        while index + pattern.count <= bytes.count {
            if bytes[index] == pattern[0], starts(with: pattern, at: index) { return index }
            index += 1
        }
        return nil
    }

    private mutating func append(_ kind: Token.Kind, _ start: Int, _ end: Int) {
        tokens.append(Token(kind: kind, offset: start, text: Array(bytes[start..<end])))
    }

    /// Whether an action ends here, and by which of the two ends.
    private func closing(at offset: Int) -> (length: Int, trims: Bool)? {
        if starts(with: Self.close, at: offset) { return (2, false) }
        if offset + 3 < bytes.count, bytes[offset].isTemplateSpace, bytes[offset + 1] == UInt8(ascii: "-"),
            starts(with: Self.close, at: offset + 2)
        {
            return (4, true)
        }
        return nil
    }

    private mutating func comment() throws(TemplateError) -> Bool {
        guard let end = next(Self.commentEnd, from: position + 2) else { throw source.error(at: position, "unclosed comment") }
        guard let closing = closing(at: end + 2) else {
            throw source.error(at: position, "comment ends before closing delimiter")
        }
        position = end + 2 + closing.length
        return closing.trims
    }

    /// The words up to the end of the action; whether the text after it loses its spaces.
    private mutating func action(from opening: Int) throws(TemplateError) -> Bool {
        parentheses = 0
        while true {
            if let closing = closing(at: position) {
                guard parentheses == 0 else { throw source.error(at: position, "unclosed left paren") }
                append(.rightDelimiter, position, position + closing.length)
                position += closing.length
                return closing.trims
            }
            guard position < bytes.count else { throw source.error(at: opening, "unclosed action") }
            try word()
        }
    }

    private mutating func word() throws(TemplateError) {
        let start = position
        let byte = bytes[position]
        switch byte {
        case _ where byte.isTemplateSpace: space()
        case UInt8(ascii: "("):
            parentheses += 1
            single(.leftParenthesis)
        case UInt8(ascii: ")"):
            parentheses -= 1
            guard parentheses >= 0 else { throw source.error(at: start, "unexpected right paren") }
            single(.rightParenthesis)
        case UInt8(ascii: "|"): single(.pipe)
        case UInt8(ascii: ","): single(.comma)
        case UInt8(ascii: "="): single(.assign)
        case UInt8(ascii: ":"):
            guard position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "=") else {
                throw source.error(at: start, "expected :=")
            }
            position += 2
            append(.declare, start, position)
        case UInt8(ascii: "\""): try quoted(.quoted, by: byte, named: "unterminated quoted string")
        case UInt8(ascii: "'"): try quoted(.character, by: byte, named: "unterminated character constant")
        case UInt8(ascii: "`"):
            guard let end = bytes[(position + 1)...].firstIndex(of: byte) else {
                throw source.error(at: start, "unterminated raw quoted string")
            }
            position = end + 1
            append(.raw, start, position)
        case UInt8(ascii: "."):
            if position + 1 < bytes.count, bytes[position + 1].isDigit { try number() } else { try name(.field, alone: .dot) }
        case UInt8(ascii: "$"): try name(.variable, alone: .variable)
        case UInt8(ascii: "+"), UInt8(ascii: "-"), 0x30...0x39: try number()
        default: try identifier()
        }
    }

    private mutating func single(_ kind: Token.Kind) {
        append(kind, position, position + 1)
        position += 1
    }

    private mutating func space() {
        let start = position
        while position < bytes.count, bytes[position].isTemplateSpace {
            // The space before a trimming end belongs to the end.
            if closing(at: position) != nil { break }
            position += 1
        }
        if position > start { append(.space, start, position) }
    }

    private mutating func quoted(_ kind: Token.Kind, by quote: UInt8, named message: String) throws(TemplateError) {
        let start = position
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n") {
            if bytes[position] == UInt8(ascii: "\\") {
                position += 2
                continue
            }
            position += 1
            if bytes[position - 1] == quote { return append(kind, start, position) }
        }
        throw source.error(at: start, message)
    }

    /// The scalar at an offset and its length in bytes; bytes that are not UTF-8 are U+FFFD.
    private func scalar(at offset: Int) -> (Unicode.Scalar, Int)? {
        guard offset < bytes.count else { return nil }
        if bytes[offset] < 0x80 { return (Unicode.Scalar(bytes[offset]), 1) }
        var iterator = bytes[offset..<min(bytes.count, offset + 4)].makeIterator()
        var codec = UTF8()
        guard case .scalarValue(let scalar) = codec.decode(&iterator) else { return ("\u{fffd}", 1) }
        return (scalar, UTF8.width(scalar))
    }

    private mutating func skipName() {
        while let (scalar, length) = scalar(at: position), scalar == "_" || scalar.isLetter || scalar.isDecimalDigit {
            position += length
        }
    }

    /// `.name` and `$name`, or the sign alone.
    private mutating func name(_ kind: Token.Kind, alone: Token.Kind) throws(TemplateError) {
        let start = position
        position += 1
        skipName()
        try terminator(from: start)
        append(position == start + 1 ? alone : kind, start, position)
    }

    private mutating func identifier() throws(TemplateError) {
        let start = position
        skipName()
        guard position > start else {
            let character = scalar(at: start)?.0 ?? "\u{fffd}"
            throw source.error(at: start, "unexpected character \(Quoting.quoted([UInt8](scalars: [character])).string) in command")
        }
        try terminator(from: start)
        let text = Array(bytes[start..<position]).string
        let kind: Token.Kind =
            switch text {
            case "true", "false": .bool
            case "nil": .nothing
            default: Token.Keyword(rawValue: text).map { .keyword($0) } ?? .identifier
            }
        append(kind, start, position)
    }

    /// A name ends at a space, at punctuation or at the end of the action, so that `a+b` is no two words.
    private func terminator(from start: Int) throws(TemplateError) {
        guard let (scalar, _) = scalar(at: position) else { return }
        if closing(at: position) != nil { return }
        switch scalar {
        case " ", "\t", "\r", "\n", ".", ",", "|", ":", ")", "(": return
        default:
            let text = [UInt8](scalars: [scalar])
            throw source.error(at: start, "bad character U+\(Self.hex(scalar.value)) \(Quoting.quotedCharacter(text).string)")
        }
    }

    private static func hex(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    private mutating func number() throws(TemplateError) {
        let start = position
        let signs = Bytes("+-")
        if signs.contains(bytes[position]) { position += 1 }
        while position < bytes.count {
            let byte = bytes[position]
            let isExponentSign = signs.contains(byte) && position > start && Bytes("eEpP").contains(bytes[position - 1])
            guard byte.isDigit || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || isExponentSign || byte.isASCIILetter
            else { break }
            position += 1
        }
        append(.number, start, position)
        guard NumberLiteral(tokens[tokens.count - 1].text) != nil else {
            throw source.error(at: start, "bad number syntax: \(Quoting.quoted(tokens[tokens.count - 1].text).string)")
        }
    }
}

extension UInt8 {
    var isASCIILetter: Bool { (self | 0x20) >= 0x61 && (self | 0x20) <= 0x7a }
}
