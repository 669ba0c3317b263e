/// The arguments of one call, and the rendering that it belongs to.
struct Arguments {
    let machine: Machine
    let values: [Value]

    init(_ machine: Machine, _ values: [Value]) {
        self.machine = machine
        self.values = values
    }

    var count: Int { values.count }

    subscript(index: Int) -> Value { index < values.count ? values[index] : .null }

    var format: GoText { GoText(machine) }

    /// The arguments from one on.
    func from(_ index: Int) -> [Value] { Array(values.dropFirst(index)) }

    private func wrong(_ index: Int, _ expected: String) -> Complaint {
        let value = self[index]
        return Complaint("wrong type for argument \(index + 1); expected \(expected); got \(value.isNull ? "nil" : value.typeName)")
    }

    func text(_ index: Int) throws -> Bytes {
        guard case .text(let text) = self[index] else { throw wrong(index, "string") }
        return text
    }

    /// An integer argument; bounded so that reckoning with it can't overflow.
    func int(_ index: Int) throws -> Int {
        guard case .integer(let value, _) = self[index] else { throw wrong(index, "int") }
        return Int(max(min(value, 1 << 62), -(1 << 62)))
    }

    func bool(_ index: Int) throws -> Bool {
        guard case .bool(let value) = self[index] else { throw wrong(index, "bool") }
        return value
    }

    func map(_ index: Int) throws -> MapValue {
        guard case .map(let map) = self[index] else { throw wrong(index, "map[string]interface {}") }
        return map
    }

    /// A list's elements; nil has none.
    func list(_ index: Int) throws -> [Value] {
        switch self[index] {
        case .list(let list): return list.elements
        case .null: return []
        default: throw wrong(index, "list")
        }
    }

    /// Sprig's strval: a text as it is, everything else as `%v`.
    func shown(_ index: Int) throws -> Bytes { try format.plain(self[index]) }

    func make(_ text: Bytes) throws -> Value { try machine.makeText(text) }

    func make(_ elements: [Value]) throws -> Value { try machine.makeList(elements) }
}
