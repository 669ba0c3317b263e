// How errors quote a part of a template: in Go's words, with one space between operands.

extension Pipeline {
    var text: Bytes {
        let names = variables.map { Array($0.utf8) }.joined(separator: Bytes(", "))
        let declaration = variables.isEmpty ? [] : Array(names) + (assigns ? Bytes(" = ") : Bytes(" := "))
        return declaration + commands.map(\.text).joined(separator: Bytes(" | "))
    }
}

extension Command {
    var text: Bytes { Array(operands.map(\.text).joined(separator: Bytes(" "))) }
}

extension Operand {
    var text: Bytes {
        switch kind {
        case .dot: Bytes(".")
        case .null: Bytes("nil")
        case .bool(let value): value ? Bytes("true") : Bytes("false")
        case .number(_, let text): text
        case .text(_, let literal): literal
        case .identifier(let name): Array(name.utf8)
        case .field(let names): Self.dotted(names)
        case .variable(let name, let names): Array(name.utf8) + Self.dotted(names)
        case .pipeline(let pipeline): Bytes("(") + pipeline.text + Bytes(")")
        case .chain(let base, let names): base.text + Self.dotted(names)
        }
    }

    private static func dotted(_ names: [Bytes]) -> Bytes { names.flatMap { Bytes(".") + $0 } }
}
