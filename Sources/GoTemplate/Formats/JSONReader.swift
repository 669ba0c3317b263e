/// JSON of RFC 8259 as values: every number a fraction, as Go reads it.
struct JSONReader {
    private let machine: Machine
    private let bytes: Bytes
    private var position = 0

    static func value(_ text: Bytes, _ machine: Machine) throws -> Value {
        try machine.allocate(text.count)
        var reader = JSONReader(machine: machine, bytes: text)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.position == text.count else { throw reader.invalid("after top-level value") }
        return value
    }

    private init(machine: Machine, bytes: Bytes) {
        self.machine = machine
        self.bytes = bytes
    }

    private func invalid(_ place: String) -> Complaint {
        guard position < bytes.count else { return Complaint("unexpected end of JSON input") }
        let character = Quoting.quotedCharacter([bytes[position]]).string
        return Complaint("invalid character \(character) \(place) at byte \(position)")
    }

    private mutating func skipSpace() { while position < bytes.count, bytes[position].isTemplateSpace { position += 1 } }

    private mutating func take(_ word: StaticString) -> Bool {
        let word = Bytes(word)
        guard bytes[position...].starts(with: word) else { return false }
        position += word.count
        return true
    }

    private mutating func value(depth: Int) throws -> Value {
        try machine.spend()
        try machine.checkDepth(of: depth)
        skipSpace()
        guard position < bytes.count else { throw invalid("") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "-"), 0x30...0x39: return try number()
        default:
            if take("null") { return .null }
            if take("true") { return .bool(true) }
            if take("false") { return .bool(false) }
            throw invalid("looking for beginning of value")
        }
    }

    private mutating func object(depth: Int) throws -> Value {
        let map = try machine.makeMap()
        position += 1
        skipSpace()
        if take("}") { return .map(map) }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { throw invalid("looking for object key") }
            let key = try text()
            skipSpace()
            guard take(":") else { throw invalid("after object key") }
            try machine.set(map, key, try value(depth: depth + 1))
            skipSpace()
            if take("}") { return .map(map) }
            guard take(",") else { throw invalid("after object key:value pair") }
        }
    }

    private mutating func array(depth: Int) throws -> Value {
        var elements: [Value] = []
        position += 1
        skipSpace()
        if take("]") { return try machine.makeList([]) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take("]") { return try machine.makeList(elements) }
            guard take(",") else { throw invalid("after array element") }
        }
    }

    private mutating func number() throws -> Value {
        let start = position
        func digits() throws {
            guard position < bytes.count, bytes[position].isDigit else { throw invalid("in numeric literal") }
            while position < bytes.count, bytes[position].isDigit { position += 1 }
        }
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if !take("+") { _ = take("-") }
            try digits()
        }
        guard let value = NumberLiteral.float(Array(bytes[start..<position])), value.isFinite else {
            throw Complaint("the number at byte \(start) is out of range")
        }
        return .float(value)
    }

    private mutating func text() throws -> Bytes {
        position += 1
        var result: Bytes = []
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return Array(result.string.utf8)
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &result)
            case 0..<0x20: throw invalid("in string literal")
            default:
                result.append(byte)
                position += 1
            }
        }
        throw invalid("")
    }

    private mutating func escape(into result: inout Bytes) throws {
        guard position < bytes.count else { throw invalid("") }
        let simple: [UInt8: UInt8] = [0x22: 0x22, 0x5c: 0x5c, 0x2f: 0x2f, 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9]
        if let value = simple[bytes[position]] {
            result.append(value)
            position += 1
            return
        }
        guard let unit = try unicodeUnit() else { throw invalid("in string escape code") }
        var value = unit
        if unit & 0xfc00 == 0xd800, bytes[position...].starts(with: Bytes("\\u")) {
            let mark = position
            position += 1
            if let low = try unicodeUnit(), low & 0xfc00 == 0xdc00 {
                value = 0x10000 + (unit & 0x3ff) << 10 + low & 0x3ff
            } else {
                position = mark
            }
        }
        result += [UInt8](scalars: [Unicode.Scalar(value) ?? "\u{fffd}"])
    }

    /// `uXXXX`, of which the `u` is next.
    private mutating func unicodeUnit() throws -> UInt32? {
        guard position + 4 < bytes.count, bytes[position] == UInt8(ascii: "u") else { return nil }
        var value: UInt32 = 0
        for byte in bytes[(position + 1)...(position + 4)] {
            guard let digit = byte.hexValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        position += 5
        return value
    }
}
