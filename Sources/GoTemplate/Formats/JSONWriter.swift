/// Values as JSON, in the form of Go's encoding/json: keys in order, `<`, `>` and `&` escaped unless told otherwise.
struct JSONWriter {
    private let machine: Machine
    private let isPretty: Bool
    private let escapesHTML: Bool
    private var result: Bytes = []

    static func text(_ value: Value, _ machine: Machine, isPretty: Bool = false, escapesHTML: Bool = true) throws -> Bytes {
        var writer = JSONWriter(machine: machine, isPretty: isPretty, escapesHTML: escapesHTML)
        try writer.write(value, depth: 0)
        return writer.result
    }

    private init(machine: Machine, isPretty: Bool, escapesHTML: Bool) {
        self.machine = machine
        self.isPretty = isPretty
        self.escapesHTML = escapesHTML
    }

    private mutating func write(_ value: Value, depth: Int) throws {
        try machine.spend()
        try machine.checkDepth(of: depth)
        if result.count > Limits.valueBytes { try machine.allocate(result.count) }
        switch value {
        case .null: result += Bytes("null")
        case .bool, .integer: result += try GoText(machine).plain(value)
        case .float(let number):
            guard number.isFinite else {
                throw Complaint("json: unsupported value: \(FloatText.shortest(number, exponentFrom: 21).string)")
            }
            let limit = number != 0 && number.magnitude < 1e-6 ? -400 : 21
            var text = FloatText.shortest(number, exponentFrom: limit)
            // From 1e-6 on JSON has no exponent; and an exponent has no leading zero.
            if limit == 21, number != 0, number.magnitude < 1e-4 { text = Self.withoutExponent(number) }
            if let e = text.firstIndex(of: UInt8(ascii: "e")), e + 2 < text.count, text[e + 1] == UInt8(ascii: "-"), text[e + 2] == 0x30 {
                text.remove(at: e + 2)
            }
            result += text
        case .text(let text): write(text: text)
        case .list(let list):
            try write(list.elements, "[", "]", depth: depth) { writer, element in try writer.write(element, depth: depth + 1) }
        case .map(let map):
            try write(try machine.sortedKeys(map), "{", "}", depth: depth) { writer, key in
                writer.write(text: key)
                writer.result += writer.isPretty ? Bytes(": ") : Bytes(":")
                try writer.write(map[key] ?? .null, depth: depth + 1)
            }
        case .moment(let moment): write(text: moment.formatted(Bytes("2006-01-02T15:04:05.999999999Z07:00")))
        case .version: write(text: try GoText(machine).plain(value))
        case .files: result += Bytes("{}")
        }
    }

    private static func withoutExponent(_ number: Double) -> Bytes {
        let (digits, point) = FloatText.digits(of: number.magnitude)
        return (number < 0 ? Bytes("-0.") : Bytes("0.")) + Bytes(repeating: 0x30, count: -point) + digits
    }

    private mutating func write<Element>(
        _ elements: [Element], _ open: StaticString, _ close: StaticString, depth: Int,
        _ body: (inout JSONWriter, Element) throws -> Void
    ) throws {
        result += Bytes(open)
        for (index, element) in elements.enumerated() {
            if index > 0 { result += Bytes(",") }
            lineBreak(depth + 1)
            try body(&self, element)
        }
        if !elements.isEmpty { lineBreak(depth) }
        result += Bytes(close)
    }

    private mutating func lineBreak(_ depth: Int) {
        if isPretty { result += Bytes("\n") + Bytes(repeating: 0x20, count: 2 * depth) }
    }

    private mutating func write(text: Bytes) {
        result += Bytes("\"")
        for scalar in text.string.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += [UInt8(ascii: "\\"), UInt8(ascii: scalar)]
            case "\n": result += Bytes("\\n")
            case "\r": result += Bytes("\\r")
            case "\t": result += Bytes("\\t")
            case "\u{8}": result += Bytes("\\b")
            case "\u{c}": result += Bytes("\\f")
            case "<", ">", "&": result += escapesHTML ? Array("\\u\(Quoting.hex(scalar.value, 4))".utf8) : [UInt8(ascii: scalar)]
            case _ where scalar.value < 0x20 || scalar.value == 0x2028 || scalar.value == 0x2029:
                result += Array("\\u\(Quoting.hex(scalar.value, 4))".utf8)
            default: result += [UInt8](scalars: [scalar])
            }
        }
        result += Bytes("\"")
    }
}
