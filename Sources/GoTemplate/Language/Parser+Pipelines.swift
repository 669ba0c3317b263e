extension Parser {
    /// Variables and commands up to the end of the action or of the parenthesis, which is read too.
    mutating func pipeline(in place: String, endsAt end: Token.Kind) throws(TemplateError) -> Pipeline {
        skipSpace()
        let start = peek()
        let (names, assigns) = try declarations(in: place)
        var commands: [Command] = []
        while true {
            skipSpace()
            let token = peek()
            if token.kind == end {
                _ = next()
                break
            }
            guard token.kind != .rightDelimiter, token.kind != .rightParenthesis, token.kind != .end else {
                throw unexpected(token, in: place)
            }
            commands.append(try command(in: place))
            skipSpace()
            if peek().kind == .pipe {
                let pipe = next()
                skipSpace()
                if peek().kind == end { throw source.error(at: pipe.offset, "missing value after | in \(place)") }
            } else if peek().kind != end {
                throw unexpected(peek(), in: place)
            }
        }
        guard !commands.isEmpty else { throw source.error(at: start.offset, "missing value for \(place)") }
        for command in commands.dropFirst() {
            switch command.operands[0].kind {
            case .bool, .dot, .null, .number, .text:
                let text = command.operands[0].text.string
                throw source.error(at: command.offset, "non executable command in pipeline: \(text) can't take the value before |")
            default: break
            }
        }
        if !assigns { variables += names }
        return Pipeline(offset: start.offset, variables: names, assigns: assigns, commands: commands)
    }

    /// `$x :=`, `$x =`, and in range `$i, $x :=`.
    private mutating func declarations(in place: String) throws(TemplateError) -> ([String], Bool) {
        var ahead = tokens
        func skipped(_ tokens: ArraySlice<Token>) -> ArraySlice<Token> { tokens.drop { $0.kind == .space } }
        var names: [Token] = []
        while let token = ahead.first, token.kind == .variable {
            names.append(token)
            ahead = skipped(ahead.dropFirst())
            guard place == "range", names.count < 2, ahead.first?.kind == .comma else { break }
            ahead = skipped(ahead.dropFirst())
        }
        guard !names.isEmpty, let sign = ahead.first, sign.kind == .declare || sign.kind == .assign else {
            if let comma = ahead.first, comma.kind == .comma, !names.isEmpty {
                throw unexpected(comma, in: "\(place) (too many variables)")
            }
            if names.count == 2 { throw unexpected(ahead.first ?? peek(), in: "range: expected := or = after two variables") }
            return ([], false)
        }
        let assigns = sign.kind == .assign
        if assigns {
            for name in names where !variables.contains(name.text.string) {
                throw source.error(at: name.offset, "undefined variable \"\(name.text.string)\"")
            }
        }
        tokens = ahead.dropFirst()
        return (names.map(\.text.string), assigns)
    }

    private mutating func command(in place: String) throws(TemplateError) -> Command {
        let start = peek()
        var operands: [Operand] = []
        while true {
            skipSpace()
            guard let operand = try operand() else { break }
            operands.append(operand)
            let token = peek()
            if token.kind == .space { continue }
            if token.kind == .pipe || token.kind == .rightDelimiter || token.kind == .rightParenthesis { break }
            throw unexpected(token, in: "operand")
        }
        guard !operands.isEmpty else { throw unexpected(peek(), in: place) }
        return Command(offset: start.offset, operands: operands)
    }

    /// A term with its fields; nil where none starts.
    private mutating func operand() throws(TemplateError) -> Operand? {
        let start = peek()
        guard let term = try term() else { return nil }
        guard peek().kind == .field else { return term }
        let chainOffset = peek().offset
        var fields: [Bytes] = []
        while peek().kind == .field { fields.append(Array(next().text.dropFirst())) }
        switch term.kind {
        case .field(let names): return Operand(offset: chainOffset, kind: .field(names + fields))
        case .variable(let name, let names): return Operand(offset: chainOffset, kind: .variable(name, names + fields))
        case .bool, .null, .number, .text, .dot:
            throw source.error(at: start.offset, "unexpected . after term \"\(term.text.string)\"")
        case .identifier, .pipeline, .chain: return Operand(offset: chainOffset, kind: .chain(term, fields))
        }
    }

    private mutating func term() throws(TemplateError) -> Operand? {
        let token = peek()
        let kind: Operand.Kind
        switch token.kind {
        case .identifier:
            let name = token.text.string
            guard knows(name) else { throw source.error(at: token.offset, Registry.unknown(name)) }
            kind = .identifier(name)
        case .dot: kind = .dot
        case .nothing: kind = .null
        case .bool: kind = .bool(token.text == Bytes("true"))
        case .field: kind = .field([Array(token.text.dropFirst())])
        case .variable:
            let name = token.text.string
            guard variables.contains(name) else { throw source.error(at: token.offset, "undefined variable \"\(name)\"") }
            kind = .variable(name, [])
        case .number: kind = .number(try constant(token), text: token.text)
        case .character:
            guard let value = StringLiteral.character(token.text) else {
                throw source.error(at: token.offset, "malformed character constant: \(token.text.string)")
            }
            kind = .number(.character(value), text: token.text)
        case .quoted, .raw:
            guard let text = StringLiteral.unquoted(token.text) else {
                throw source.error(at: token.offset, "malformed string: \(token.text.prefix(40).map { $0 }.string) has an invalid escape")
            }
            kind = .text(text, literal: token.text)
        case .leftParenthesis:
            _ = next()
            try enter(at: token.offset)
            let inner = try pipeline(in: "parenthesized pipeline", endsAt: .rightParenthesis)
            nesting -= 1
            return Operand(offset: token.offset, kind: .pipeline(inner))
        default: return nil
        }
        _ = next()
        return Operand(offset: token.offset, kind: kind)
    }

    private func constant(_ token: Token) throws(TemplateError) -> Value.Constant {
        switch NumberLiteral(token.text)?.value {
        case .integer(let value, _): return .integer(value)
        case .float(let value): return .float(value)
        default: throw source.error(at: token.offset, "bad number syntax: \(token.text.string)")
        }
    }
}
