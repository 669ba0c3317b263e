/// Values as YAML in block style: keys in order, lists not indented in maps, texts quoted where they would be read as something else.
struct YAMLWriter {
    private let machine: Machine
    private var result: Bytes = []

    /// Without the line end after the last line.
    static func text(_ value: Value, _ machine: Machine) throws -> Bytes {
        var writer = YAMLWriter(machine: machine)
        try writer.write(value, indent: 0, depth: 0, isNested: false)
        var text = writer.result
        if text.last == 0x0a { text.removeLast() }
        return text
    }

    private init(machine: Machine) { self.machine = machine }

    // Leaves the position at the start of a line.
    private mutating func write(_ value: Value, indent: Int, depth: Int, isNested: Bool) throws {
        try machine.spend()
        try machine.checkDepth(of: depth)
        if result.count > Limits.valueBytes { try machine.allocate(result.count) }
        switch value {
        case .list(let list) where !list.elements.isEmpty:
            for (index, element) in list.elements.enumerated() {
                if index > 0 || !isNested { pad(indent) }
                result += Bytes("- ")
                try write(element, indent: indent + 2, depth: depth + 1, isNested: true)
            }
        case .map(let map) where map.count > 0:
            for (index, key) in try machine.sortedKeys(map).enumerated() {
                if index > 0 || !isNested { pad(indent) }
                result += Self.scalar(key, indent: indent, isKey: true) + Bytes(":")
                let entry = map[key] ?? .null
                switch entry {
                case .list(let list) where !list.elements.isEmpty:
                    result += Bytes("\n")
                    try write(entry, indent: indent, depth: depth + 1, isNested: false)
                case .map(let inner) where inner.count > 0:
                    result += Bytes("\n")
                    try write(entry, indent: indent + 2, depth: depth + 1, isNested: false)
                default:
                    result += Bytes(" ")
                    try write(entry, indent: indent + 2, depth: depth + 1, isNested: true)
                }
            }
        case .list: result += Bytes("[]\n")
        case .map: result += Bytes("{}\n")
        case .null: result += Bytes("null\n")
        case .text(let text): result += Self.scalar(text, indent: max(2, indent), isKey: false) + Bytes("\n")
        case .float(let number) where !number.isFinite:
            result += (number.isNaN ? Bytes(".nan") : number < 0 ? Bytes("-.inf") : Bytes(".inf")) + Bytes("\n")
        case .bool, .integer, .float, .moment, .version, .files: result += (try GoText(machine).plain(value)) + Bytes("\n")
        }
    }

    private mutating func pad(_ indent: Int) { result += Bytes(repeating: 0x20, count: indent) }

    private static func scalar(_ text: Bytes, indent: Int, isKey: Bool) -> Bytes {
        let isPrintable =
            text.string.utf8.elementsEqual(text)
            && text.string.unicodeScalars.allSatisfy {
                $0 == "\n" || Quoting.isPrintable($0)
            }
        guard isPrintable else { return Quoting.quoted(text) }
        if text.contains(0x0a) {
            // A block can't show a text that starts with a space, or of line ends alone.
            guard !isKey, let first = text.first, !first.isTemplateSpace else { return Quoting.quoted(text) }
            return block(text, indent: indent)
        }
        guard case .text = YAMLScalar.value(text), text.count > 1 || !Bytes("yYnN").contains(text.first ?? 0) else {
            return Quoting.quoted(text)
        }
        return isPlain(text) ? text : Bytes("'") + text.replacing(Bytes("'"), with: Bytes("''")) + Bytes("'")
    }

    private static func isPlain(_ text: Bytes) -> Bool {
        guard let first = text.first, let last = text.last, first != 0x20, last != 0x20, last != UInt8(ascii: ":") else { return false }
        if Bytes("!&*|>'\"%@`{}[],#").contains(first) || text.contains(Bytes(": ")) || text.contains(Bytes(" #")) { return false }
        if text.starts(with: Bytes("---")) || text.starts(with: Bytes("...")) { return false }
        return
            !(Bytes("-?:=<").contains(first)
            && (text.count < 2 || text[1] == 0x20 || first == UInt8(ascii: "=") || first == UInt8(ascii: "<")))
    }

    private static func block(_ text: Bytes, indent: Int) -> Bytes {
        let ends = text.reversed().prefix { $0 == 0x0a }.count
        let mark = ends == 0 ? Bytes("|-") : ends == 1 ? Bytes("|") : Bytes("|+")
        let lines = (ends == 0 ? text : Array(text.dropLast())).split(by: Bytes("\n"))
        return lines.reduce(into: mark) { result, line in
            result += Bytes("\n") + (line.isEmpty ? [] : Bytes(repeating: 0x20, count: indent) + line)
        }
    }
}
