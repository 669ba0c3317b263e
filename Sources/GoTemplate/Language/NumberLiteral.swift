/// A number as Go writes it: decimal, hexadecimal, octal and binary integers with underscores, decimal and hexadecimal fractions.
struct NumberLiteral {
    let value: Value

    /// Nil for what is no number, does not fit into 64 bits, or is imaginary.
    init?(_ text: Bytes) {
        if let integer = Self.integer(text, base: 0) {
            value = .integer(integer, .int)
        } else if let float = Self.float(text), float.isFinite {
            value = .float(float)
        } else {
            return nil
        }
    }

    /// Go's strconv.ParseInt: with base 0 by prefix (`0x`, `0o`, `0`, `0b`), where underscores between digits are allowed.
    static func integer(_ text: Bytes, base: Int) -> Int64? {
        var rest = text[...]
        var isNegative = false
        if let first = rest.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            isNegative = first == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        var radix = base
        var allowsUnderscore = false
        if base == 0 {
            radix = 10
            if rest.count > 1, rest.first == UInt8(ascii: "0") {
                allowsUnderscore = true
                switch rest[rest.startIndex + 1] | 0x20 {
                case UInt8(ascii: "x"): (radix, rest) = (16, rest.dropFirst(2))
                case UInt8(ascii: "o"): (radix, rest) = (8, rest.dropFirst(2))
                case UInt8(ascii: "b"): (radix, rest) = (2, rest.dropFirst(2))
                default: (radix, rest) = (8, rest.dropFirst(1))
                }
            }
        }
        guard let digits = digits(rest, afterPrefix: allowsUnderscore, allowsUnderscore: base == 0), !digits.isEmpty else { return nil }
        var magnitude: UInt64 = 0
        for digit in digits {
            guard let value = digit.hexValue, value < radix else { return nil }
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: UInt64(radix))
            let (sum, carry) = product.addingReportingOverflow(UInt64(value))
            guard !overflow, !carry else { return nil }
            magnitude = sum
        }
        if isNegative { return magnitude <= UInt64(1) << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
        return Int64(exactly: magnitude)
    }

    // Underscores stand between digits, or after the prefix.
    private static func digits(_ text: ArraySlice<UInt8>, afterPrefix: Bool, allowsUnderscore: Bool) -> Bytes? {
        var digits: Bytes = []
        var mayUnderscore = afterPrefix
        for byte in text {
            if byte == UInt8(ascii: "_") {
                guard allowsUnderscore, mayUnderscore else { return nil }
                mayUnderscore = false
            } else {
                digits.append(byte)
                mayUnderscore = true
            }
        }
        return text.last == UInt8(ascii: "_") ? nil : digits
    }

    /// Go's strconv.ParseFloat for digits (not for `inf` and `nan`), with underscores.
    static func float(_ text: Bytes) -> Double? {
        guard let first = text.first(where: { $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else { return nil }
        guard first.isDigit || first == UInt8(ascii: ".") else { return nil }
        let isHexadecimal = text.contains { $0 | 0x20 == UInt8(ascii: "x") }
        if isHexadecimal, !text.contains(where: { $0 | 0x20 == UInt8(ascii: "p") }) { return nil }
        guard let plain = digits(text[...], afterPrefix: false, allowsUnderscore: true) else { return nil }
        var literal = plain.string
        // Swift wants a digit on both sides of the point; Go on one.
        if let point = plain.firstIndex(of: UInt8(ascii: ".")) {
            let isDigit = { (byte: UInt8) in isHexadecimal ? byte.hexValue != nil : byte.isDigit }
            let before = point > 0 && isDigit(plain[point - 1])
            let after = point + 1 < plain.count && isDigit(plain[point + 1])
            guard before || after else { return nil }
            let fixed = plain[..<point] + (before ? [] : Bytes("0")) + Bytes(".") + (after ? [] : Bytes("0")) + plain[(point + 1)...]
            literal = Array(fixed).string
        }
        return Double(literal)
    }
}
