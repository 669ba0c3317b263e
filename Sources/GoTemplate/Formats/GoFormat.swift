/// Go's Sprintf: verbs, flags, widths, precisions and argument numbers, and its way to show mistakes in the text.
struct GoFormat {
    private let text: GoText
    private let values: [Value]
    private var next = 0
    private var wasReordered = false
    private var result: Bytes = []

    /// What stands between `%` and the verb.
    private struct Flags {
        var plus = false
        var minus = false
        var sharp = false
        var space = false
        var zero = false
        var width: Int?
        var precision: Int?
    }

    /// A precision beyond this many digits is no wish for digits.
    private static let maximumPrecision = 1_000

    private init(_ machine: Machine, _ values: [Value]) {
        text = GoText(machine)
        self.values = values
    }

    static func formatted(_ format: Bytes, _ values: [Value], _ machine: Machine) throws -> Bytes {
        var formatter = GoFormat(machine, values)
        return try formatter.run(format)
    }

    private mutating func run(_ format: Bytes) throws -> Bytes {
        var index = 0
        while index < format.count {
            guard format[index] == UInt8(ascii: "%") else {
                let end = format[index...].firstIndex(of: UInt8(ascii: "%")) ?? format.count
                result += format[index..<end]
                index = end
                continue
            }
            index += 1
            try text.machine.spend()
            var flags = Flags()
            let isNumbered = try readFlags(format, &index, &flags)
            guard index < format.count else {
                result += Bytes("%!(NOVERB)")
                break
            }
            let verb = try Self.verb(format, &index)
            if isNumbered { try apply(verb, flags) } else { result += Bytes("%!") + verb + Bytes("(BADINDEX)") }
            try text.checkSize(result)
        }
        if !wasReordered, next < values.count {
            let extra = try values[next...].map { value -> Bytes in
                value.isNull ? Bytes("<nil>") : Array((value.typeName + "=").utf8) + (try text.plain(value))
            }
            result += Bytes("%!(EXTRA ") + extra.joined(separator: Bytes(", ")) + Bytes(")")
        }
        return result
    }

    private static func verb(_ format: Bytes, _ index: inout Int) throws -> Bytes {
        let first = format[index]
        var end = index + 1
        if first >= 0xc0 { while end < format.count, format[end] & 0xc0 == 0x80 { end += 1 } }
        defer { index = end }
        return Array(format[index..<end])
    }

    // MARK: What stands before the verb

    /// Whether all numbers of arguments name one. A width or precision that is none shows in the text.
    private mutating func readFlags(_ format: Bytes, _ index: inout Int, _ flags: inout Flags) throws -> Bool {
        reading: while index < format.count {
            switch format[index] {
            case UInt8(ascii: "+"): flags.plus = true
            case UInt8(ascii: "-"): flags.minus = true
            case UInt8(ascii: "#"): flags.sharp = true
            case UInt8(ascii: " "): flags.space = true
            case UInt8(ascii: "0"): flags.zero = true
            default: break reading
            }
            index += 1
        }
        var isNumbered = readArgumentNumber(format, &index)
        if index < format.count, format[index] == UInt8(ascii: "*") {
            index += 1
            let width = starred()
            if width == nil { result += Bytes("%!(BADWIDTH)") }
            flags.minus = flags.minus || width ?? 0 < 0
            flags.width = width.map { abs($0) }
        } else {
            flags.width = Self.number(format, &index)
        }
        if index < format.count, format[index] == UInt8(ascii: ".") {
            index += 1
            isNumbered = readArgumentNumber(format, &index) && isNumbered
            if index < format.count, format[index] == UInt8(ascii: "*") {
                index += 1
                let precision = starred()
                if precision ?? -1 < 0 { result += Bytes("%!(BADPREC)") } else { flags.precision = precision }
            } else {
                flags.precision = Self.number(format, &index) ?? 0
            }
        }
        isNumbered = readArgumentNumber(format, &index) && isNumbered
        guard flags.width ?? 0 <= Limits.formatWidth, flags.precision ?? 0 <= Limits.formatWidth else {
            throw Complaint("a width of more than \(Limits.formatWidth) in a format", isLimit: true)
        }
        return isNumbered
    }

    /// `[3]`: false when it names no argument.
    private mutating func readArgumentNumber(_ format: Bytes, _ index: inout Int) -> Bool {
        guard index < format.count, format[index] == UInt8(ascii: "[") else { return true }
        guard let close = format[index...].firstIndex(of: UInt8(ascii: "]")) else { return false }
        let number = Int(Array(format[(index + 1)..<close]).string)
        index = close + 1
        wasReordered = true
        guard let number, number >= 1, number <= values.count else { return false }
        next = number - 1
        return true
    }

    private mutating func starred() -> Int? {
        guard next < values.count, case .integer(let value, _) = values[next] else { return nil }
        next += 1
        return Int(exactly: value).flatMap { abs($0 == .min ? .max : $0) <= Limits.formatWidth ? $0 : nil }
    }

    private static func number(_ format: Bytes, _ index: inout Int) -> Int? {
        var result: Int?
        while index < format.count, format[index].isDigit {
            result = min((result ?? 0) * 10 + Int(format[index] - 0x30), Limits.formatWidth + 1)
            index += 1
        }
        return result
    }

    // MARK: Verbs

    private mutating func apply(_ verb: Bytes, _ flags: Flags) throws {
        if verb == Bytes("%") {
            result += verb
            return
        }
        guard next < values.count else {
            result += Bytes("%!") + verb + Bytes("(MISSING)")
            return
        }
        let value = values[next]
        next += 1
        switch verb {
        case Bytes("T"): result += padded(Array(value.typeName.utf8), flags)
        case Bytes("p"): result += Bytes("%!p(") + Array(value.typeName.utf8) + Bytes("=") + (try text.plain(value)) + Bytes(")")
        case Bytes("v") where flags.sharp: result += padded(try text.source(value), flags)
        default: result += try formatted(value, verb, flags, depth: 0)
        }
    }

    private func formatted(_ value: Value, _ verb: Bytes, _ flags: Flags, depth: Int) throws -> Bytes {
        let letter = verb.count == 1 ? verb[0] : 0
        switch value {
        case .null:
            if letter == UInt8(ascii: "v") { return padded(Bytes("<nil>"), flags) }
            return Bytes("%!") + verb + Bytes("(<nil>)")
        case .bool(let isTrue) where letter == UInt8(ascii: "t") || letter == UInt8(ascii: "v"):
            return padded(isTrue ? Bytes("true") : Bytes("false"), flags)
        case .integer(let number, _):
            if let text = integer(number, letter, flags) { return text }
        case .float(let number):
            if let text = float(number, letter, flags) { return text }
        case .text(let string):
            if let text = characters(string, letter, flags) { return text }
        case .list(let list): return try text.joined(list, depth) { try formatted($0, verb, flags, depth: depth + 1) }
        case .map(let map):
            let key = { (name: Bytes) in try formatted(.text(name), verb, flags, depth: depth + 1) }
            return try text.joined(map, depth, key: key) { try formatted($0, verb, flags, depth: depth + 1) }
        case .moment, .version:
            if let text = characters(try text.plain(value), letter, flags) { return text }
        case .bool, .files: if letter == UInt8(ascii: "v") { return padded(try text.plain(value), flags) }
        }
        return Bytes("%!") + verb + Bytes("(") + Array((value.typeName + "=").utf8) + (try text.plain(value)) + Bytes(")")
    }

    private func characters(_ string: Bytes, _ letter: UInt8, _ flags: Flags) -> Bytes? {
        let cut = flags.precision.map { precision in
            string.count > precision ? [UInt8](scalars: string.scalars.prefix(precision)) : string
        }
        let string = cut ?? string
        switch letter {
        case UInt8(ascii: "s"), UInt8(ascii: "v"): return padded(string, flags)
        case UInt8(ascii: "q"):
            if flags.sharp, !string.contains(UInt8(ascii: "`")) { return padded(Bytes("`") + string + Bytes("`"), flags) }
            return padded(flags.plus ? Quoting.quotedASCII(string) : Quoting.quoted(string), flags)
        case UInt8(ascii: "x"), UInt8(ascii: "X"):
            let isUpper = letter == UInt8(ascii: "X")
            let hex = string.map { isUpper ? Quoting.hex(UInt32($0), 2).uppercased() : Quoting.hex(UInt32($0), 2) }
            let prefix = flags.sharp && !string.isEmpty ? (isUpper ? "0X" : "0x") : ""
            let text = flags.space ? hex.map { prefix + $0 }.joined(separator: " ") : prefix + hex.joined()
            return padded(Array(text.utf8), flags)
        default: return nil
        }
    }

    private func integer(_ number: Int64, _ letter: UInt8, _ flags: Flags) -> Bytes? {
        let magnitude = number.magnitude
        var digits: String
        var prefix = ""
        switch letter {
        case UInt8(ascii: "d"), UInt8(ascii: "v"): digits = String(magnitude)
        case UInt8(ascii: "b"): (digits, prefix) = (String(magnitude, radix: 2), flags.sharp ? "0b" : "")
        case UInt8(ascii: "o"): (digits, prefix) = (String(magnitude, radix: 8), flags.sharp ? "0" : "")
        case UInt8(ascii: "O"): (digits, prefix) = (String(magnitude, radix: 8), "0o")
        case UInt8(ascii: "x"): (digits, prefix) = (String(magnitude, radix: 16), flags.sharp ? "0x" : "")
        case UInt8(ascii: "X"): (digits, prefix) = (String(magnitude, radix: 16, uppercase: true), flags.sharp ? "0X" : "")
        case UInt8(ascii: "c"), UInt8(ascii: "q"):
            let character = [UInt8](scalars: [UInt32(exactly: number).flatMap { Unicode.Scalar($0) } ?? "\u{fffd}"])
            return padded(letter == UInt8(ascii: "c") ? character : Quoting.quotedCharacter(character), flags)
        case UInt8(ascii: "U"):
            let hex = String(magnitude, radix: 16, uppercase: true)
            return padded(Array("U+\(String(repeating: "0", count: max(0, 4 - hex.utf8.count)))\(hex)".utf8), flags)
        default: return nil
        }
        let sign = number < 0 ? "-" : flags.plus ? "+" : flags.space ? " " : ""
        if let precision = flags.precision {
            if precision == 0, number == 0 { return padded([], flags, zero: false) }
            digits = String(repeating: "0", count: max(0, precision - digits.utf8.count)) + digits
        } else if flags.zero, !flags.minus, let width = flags.width {
            digits = String(repeating: "0", count: max(0, width - digits.utf8.count - sign.utf8.count)) + digits
        }
        return padded(Array((sign + prefix + digits).utf8), flags, zero: false)
    }

    private func float(_ number: Double, _ letter: UInt8, _ flags: Flags) -> Bytes? {
        let precision = flags.precision.map { min($0, Self.maximumPrecision) }
        var text: Bytes
        switch letter {
        case UInt8(ascii: "v"), UInt8(ascii: "g"):
            text =
                precision.map { FloatText.formatted(number, UInt8(ascii: "g"), precision: $0) }
                ?? FloatText.shortest(number, exponentFrom: GoText.exponentFrom)
        case UInt8(ascii: "G"):
            text =
                precision.map { FloatText.formatted(number, letter, precision: $0) }
                ?? Array(FloatText.shortest(number, exponentFrom: GoText.exponentFrom).string.uppercased().utf8)
        case UInt8(ascii: "f"), UInt8(ascii: "F"), UInt8(ascii: "e"), UInt8(ascii: "E"):
            text = FloatText.formatted(number, letter == UInt8(ascii: "F") ? UInt8(ascii: "f") : letter, precision: precision ?? 6)
        default: return nil
        }
        var sign: Bytes = []
        if let first = text.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            sign = first == UInt8(ascii: "-") || flags.plus ? [first] : []
            text.removeFirst()
        } else if flags.plus {
            sign = Bytes("+")
        } else if flags.space {
            sign = Bytes(" ")
        }
        if flags.zero, !flags.minus, number.isFinite, let width = flags.width {
            text = Bytes(repeating: 0x30, count: max(0, width - text.count - sign.count)) + text
        }
        return padded(sign + text, flags, zero: false)
    }

    /// To the width, which counts characters.
    private func padded(_ text: Bytes, _ flags: Flags, zero: Bool = true) -> Bytes {
        guard let width = flags.width else { return text }
        let count = text.count { $0 & 0xc0 != 0x80 }
        let usesZero = zero && flags.zero && !flags.minus
        let padding = Bytes(repeating: usesZero ? 0x30 : 0x20, count: max(0, width - count))
        return flags.minus ? text + padding : padding + text
    }
}
