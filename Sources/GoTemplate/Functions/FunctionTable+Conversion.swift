extension FunctionTable {
    /// Sprig's conversions between texts and numbers. What is no number is 0, as sprig has it.
    mutating func addConversion() {
        family = .conversion
        add("toString", count: 1) { a in try a.make(try a.shown(0)) }
        add("toStrings", count: 1) { a in try a.machine.makeList(texts: try Self.texts(a[0], a)) }
        add("atoi", count: 1) { a in .integer(NumberLiteral.integer(try a.text(0), base: 10) ?? 0, .int) }
        add("int", count: 1) { a in .integer(Self.integer(a[0]), .int) }
        add("int64", count: 1) { a in .int64(Self.integer(a[0])) }
        add("float64", count: 1) { a in .float(Self.float(a[0])) }
        add("toDecimal", count: 1) { a in .int64(NumberLiteral.integer(try a.shown(0), base: 8) ?? 0) }
    }

    static func integer(_ value: Value) -> Int64 {
        switch value {
        case .integer(let value, _): value
        case .float(let value): Int64(exactly: value.rounded(.towardZero)) ?? (value.isNaN ? 0 : value < 0 ? .min : .max)
        case .bool(let value): value ? 1 : 0
        case .text(let text): NumberLiteral.integer(withoutZeroFraction(text), base: 0) ?? 0
        default: 0
        }
    }

    // "5.00" counts as 5.
    private static func withoutZeroFraction(_ text: Bytes) -> Bytes {
        guard let point = text.lastIndex(of: UInt8(ascii: ".")), text[(point + 1)...].allSatisfy({ $0 == 0x30 }) else { return text }
        return Array(text[..<point])
    }

    static func float(_ value: Value) -> Double {
        switch value {
        case .integer(let value, _): Double(value)
        case .float(let value): value
        case .bool(let value): value ? 1 : 0
        case .text(let text): NumberLiteral.float(text) ?? 0
        default: 0
        }
    }
}
