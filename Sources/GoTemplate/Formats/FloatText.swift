#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Numbers with a fraction as Go writes them.
enum FloatText {
    /// The fewest digits that give the number back; with an exponent below 1e-4 and from a power of ten on: 6 for `%v`, 21 for JSON.
    static func shortest(_ value: Double, exponentFrom limit: Int) -> Bytes {
        guard value.isFinite else { return value.isNaN ? Bytes("NaN") : value < 0 ? Bytes("-Inf") : Bytes("+Inf") }
        let (digits, point) = digits(of: value.magnitude)
        let sign = value.sign == .minus ? Bytes("-") : []
        let exponent = point - 1
        if value != 0, exponent < -4 || exponent >= limit {
            let fraction = digits.count > 1 ? Bytes(".") + digits.dropFirst() : []
            let magnitude = String(exponent.magnitude)
            let power = (exponent < 0 ? "-" : "+") + (magnitude.count < 2 ? "0" : "") + magnitude
            return sign + digits.prefix(1) + fraction + Array("e\(power)".utf8)
        }
        if point <= 0 { return sign + Bytes("0.") + Bytes(repeating: 0x30, count: -point) + digits }
        if digits.count <= point { return sign + digits + Bytes(repeating: 0x30, count: point - digits.count) }
        return sign + digits[..<point] + Bytes(".") + digits[point...]
    }

    /// The significant digits and where the point stands after the first of them; `0` and 1 for zero.
    static func digits(of magnitude: Double) -> (digits: Bytes, point: Int) {
        var digits: Bytes = []
        var point: Int?
        var exponent = 0
        let text = Array(magnitude.description.utf8)
        let mantissa = text.prefix { $0 | 0x20 != UInt8(ascii: "e") }
        if mantissa.count < text.count { exponent = Int(Array(text[(mantissa.count + 1)...]).string) ?? 0 }
        for byte in mantissa {
            if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte) }
        }
        var position = (point ?? digits.count) + exponent
        while digits.count > 1, digits.first == 0x30 {
            digits.removeFirst()
            position -= 1
        }
        while digits.count > 1, digits.last == 0x30 { digits.removeLast() }
        return digits == [0x30] ? (digits, 1) : (digits, position)
    }

    /// `%e`, `%f`, `%g` and their capitals with a precision, as C has them too. The precision is at most 1,000.
    static func formatted(_ value: Double, _ verb: UInt8, precision: Int) -> Bytes {
        guard value.isFinite else { return shortest(value, exponentFrom: 0) }
        var buffer = [CChar](repeating: 0, count: 400 + precision)
        let format = "%.*\(Character(Unicode.Scalar(verb)))"
        let count = withVaList([CInt(precision), value]) { vsnprintf(&buffer, buffer.count, format, $0) }
        return buffer.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }
    }
}
