/// Go's quoted strings and character constants.
enum StringLiteral {
    /// The text within the quotes, escapes resolved; nil for a malformed escape.
    static func unquoted(_ literal: Bytes) -> Bytes? {
        guard literal.count >= 2, let quote = literal.first else { return nil }
        let body = literal[1..<(literal.count - 1)]
        if quote == UInt8(ascii: "`") { return body.filter { $0 != UInt8(ascii: "\r") } }
        var result: Bytes = []
        var index = body.startIndex
        while index < body.endIndex {
            guard body[index] == UInt8(ascii: "\\") else {
                result.append(body[index])
                index += 1
                continue
            }
            guard index + 1 < body.endIndex, let (bytes, length) = escape(body[(index + 1)...], in: quote) else { return nil }
            result += bytes
            index += 1 + length
        }
        return result
    }

    /// The code point of a character constant; nil unless it is exactly one.
    static func character(_ literal: Bytes) -> Int64? {
        guard let text = unquoted(literal) else { return nil }
        // An escape of a byte, as '\xff', is that number and no UTF-8.
        if literal.starts(with: Bytes("'\\x")) || (literal.count == 6 && literal[1] == UInt8(ascii: "\\") && literal[2].isDigit) {
            return text.count == 1 ? Int64(text[0]) : nil
        }
        let scalars = text.scalars
        return scalars.count == 1 ? Int64(scalars[0].value) : nil
    }

    /// What an escape stands for, without its backslash, and how long it is.
    private static func escape(_ text: ArraySlice<UInt8>, in quote: UInt8) -> (Bytes, Int)? {
        guard let first = text.first else { return nil }
        switch first {
        case UInt8(ascii: "a"): return ([7], 1)
        case UInt8(ascii: "b"): return ([8], 1)
        case UInt8(ascii: "f"): return ([12], 1)
        case UInt8(ascii: "n"): return ([10], 1)
        case UInt8(ascii: "r"): return ([13], 1)
        case UInt8(ascii: "t"): return ([9], 1)
        case UInt8(ascii: "v"): return ([11], 1)
        case UInt8(ascii: "\\"): return ([first], 1)
        case quote: return ([quote], 1)
        case UInt8(ascii: "x"): return number(text.dropFirst(), 2, radix: 16).flatMap { UInt8(exactly: $0) }.map { ([$0], 3) }
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            return number(text, 3, radix: 8).flatMap { UInt8(exactly: $0) }.map { ([$0], 3) }
        case UInt8(ascii: "u"): return number(text.dropFirst(), 4, radix: 16).flatMap(utf8).map { ($0, 5) }
        case UInt8(ascii: "U"): return number(text.dropFirst(), 8, radix: 16).flatMap(utf8).map { ($0, 9) }
        default: return nil
        }
    }

    private static func number(_ text: ArraySlice<UInt8>, _ count: Int, radix: Int) -> UInt32? {
        guard text.count >= count else { return nil }
        var result: UInt32 = 0
        for byte in text.prefix(count) {
            guard let digit = byte.hexValue, digit < radix else { return nil }
            result = result << (radix == 16 ? 4 : 3) | UInt32(digit)
        }
        return result
    }

    private static func utf8(_ value: UInt32) -> Bytes? { Unicode.Scalar(value).map { [UInt8](scalars: [$0]) } }
}
