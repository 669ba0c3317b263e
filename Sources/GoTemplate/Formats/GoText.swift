/// Values as text, in the forms of Go's fmt package.
struct GoText {
    let machine: Machine

    init(_ machine: Machine) { self.machine = machine }

    /// What an action prints: as ``plain(_:depth:)``, but for nil.
    func printed(_ value: Value) throws -> Bytes { value.isNull ? Bytes("<no value>") : try plain(value) }

    /// `%v`.
    func plain(_ value: Value, depth: Int = 0) throws -> Bytes {
        switch value {
        case .null: return Bytes("<nil>")
        case .bool(let value): return value ? Bytes("true") : Bytes("false")
        case .integer(let value, _): return Array(String(value).utf8)
        case .float(let value): return FloatText.shortest(value, exponentFrom: Self.exponentFrom)
        case .text(let text): return text
        case .list(let list): return try joined(list, depth) { try plain($0, depth: depth + 1) }
        case .map(let map): return try joined(map, depth, key: { $0 }) { try plain($0, depth: depth + 1) }
        case .moment(let moment): return moment.description
        case .version(let version): return Array(version.description.utf8)
        case .files: return Bytes("{}")
        }
    }

    /// Go's `%v` writes 1000000.0 as 1e+06.
    static let exponentFrom = 6

    /// Every element in brackets; for verbs that apply to the elements.
    func joined(_ list: ListValue, _ depth: Int, _ text: (Value) throws -> Bytes) throws -> Bytes {
        try machine.checkDepth(of: depth)
        var result = Bytes("[")
        for (index, element) in list.elements.enumerated() {
            try machine.spend()
            if index > 0 { result.append(0x20) }
            result += try text(element)
            try checkSize(result)
        }
        try machine.allocate(result.count)
        return result + Bytes("]")
    }

    func joined(_ map: MapValue, _ depth: Int, key: (Bytes) throws -> Bytes, _ text: (Value) throws -> Bytes) throws -> Bytes {
        try machine.checkDepth(of: depth)
        var result = Bytes("map[")
        for (index, name) in try machine.sortedKeys(map).enumerated() {
            try machine.spend()
            if index > 0 { result.append(0x20) }
            result += try key(name) + Bytes(":") + text(map[name] ?? .null)
            try checkSize(result)
        }
        try machine.allocate(result.count)
        return result + Bytes("]")
    }

    func checkSize(_ text: Bytes) throws {
        if text.count > Limits.valueBytes { try machine.allocate(text.count) }
    }

    /// `%#v`: as Go would write the value in a program.
    func source(_ value: Value, depth: Int = 0) throws -> Bytes {
        try machine.checkDepth(of: depth)
        try machine.spend()
        switch value {
        case .null: return Bytes("interface {}(nil)")
        case .text(let text): return Quoting.quoted(text)
        case .list(let list):
            let elements = try list.elements.map { try source($0, depth: depth + 1) }
            let result = Array((value.typeName + "{").utf8) + elements.joined(separator: Bytes(", ")) + Bytes("}")
            try machine.allocate(result.count)
            return result
        case .map(let map):
            let entries = try machine.sortedKeys(map).map {
                Quoting.quoted($0) + Bytes(":") + (try source(map[$0] ?? .null, depth: depth + 1))
            }
            let result = Array((value.typeName + "{").utf8) + entries.joined(separator: Bytes(", ")) + Bytes("}")
            try machine.allocate(result.count)
            return result
        case .bool, .integer, .float, .moment, .version, .files: return try plain(value)
        }
    }

    /// Go's Sprint: a space between two operands that are both no text.
    func sprint(_ values: [Value]) throws -> Bytes {
        var result: Bytes = []
        var wasText = true
        for (index, value) in values.enumerated() {
            let isText = if case .text = value { true } else { false }
            if index > 0, !isText, !wasText { result.append(0x20) }
            result += try plain(value)
            wasText = isText
            try checkSize(result)
        }
        return result
    }

    /// Go's Sprintln.
    func sprintln(_ values: [Value]) throws -> Bytes {
        Array(try values.map { try plain($0) }.joined(separator: Bytes(" "))) + Bytes("\n")
    }
}
