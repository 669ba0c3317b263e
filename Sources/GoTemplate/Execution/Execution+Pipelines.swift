extension Execution {
    /// The pipeline's value; its variables get it too.
    func evaluate(_ pipeline: Pipeline, dot: Value) throws -> Value {
        var value: Value?
        for command in pipeline.commands { value = try evaluate(command, dot: dot, final: value) }
        let result = value ?? .null
        for name in pipeline.variables {
            if pipeline.assigns {
                try at(pipeline.offset, pipeline.text) { try assign(name, result) }
            } else {
                push(name, result)
            }
        }
        return result
    }

    private func evaluate(_ command: Command, dot: Value, final: Value?) throws -> Value {
        let first = command.operands[0]
        let arguments = command.operands.dropFirst()
        try at(first.offset, first.text) { try machine.spend() }
        switch first.kind {
        case .identifier(let name): return try call(name, command, arguments, dot: dot, final: final)
        case .field(let names): return try fields(names, of: dot, command, arguments, dot: dot, final: final)
        case .variable(let name, let names):
            let value = try at(first.offset, first.text) { try variable(name) }
            if names.isEmpty { break }
            return try fields(names, of: value, command, arguments, dot: dot, final: final)
        case .chain(let base, let names):
            let value = try evaluate(base, dot: dot)
            return try fields(names, of: value, command, arguments, dot: dot, final: final)
        case .null: return try at(first.offset, first.text) { () -> Value in throw Complaint("nil is not a command") }
        case .dot, .bool, .number, .text, .pipeline: break
        }
        if final != nil || !arguments.isEmpty {
            return try at(first.offset, first.text) { () -> Value in
                throw Complaint("can't give argument to non-function \(first.text.string)")
            }
        }
        return try evaluate(first, dot: dot)
    }

    /// An operand that stands as an argument: a function without arguments is called.
    func evaluate(_ operand: Operand, dot: Value) throws -> Value {
        try at(operand.offset, operand.text) { try machine.spend() }
        switch operand.kind {
        case .dot: return dot
        case .null: return .null
        case .bool(let value): return .bool(value)
        case .number(let constant, _): return constant.value
        case .text(let text, _): return .text(text)
        case .pipeline(let pipeline):
            return try at(operand.offset, operand.text) { try machine.deeper { try evaluate(pipeline, dot: dot) } }
        case .variable(let name, let names) where names.isEmpty:
            return try at(operand.offset, operand.text) { try variable(name) }
        case .identifier, .field, .variable, .chain:
            return try evaluate(Command(offset: operand.offset, operands: [operand]), dot: dot, final: nil)
        }
    }

    private func arguments(_ operands: ArraySlice<Operand>, dot: Value, final: Value?) throws -> [Value] {
        var values: [Value] = []
        for operand in operands { values.append(try evaluate(operand, dot: dot)) }
        if let final { values.append(final) }
        return values
    }

    // MARK: Functions

    private func call(_ name: String, _ command: Command, _ operands: ArraySlice<Operand>, dot: Value, final: Value?) throws -> Value {
        if name == "and" || name == "or" {
            return try shortCircuit(name, command, operands, dot: dot, final: final)
        }
        guard let function = Registry.functions[name] else {
            return try at(command.offset, command.text) { () -> Value in throw Complaint(Registry.unknown(name)) }
        }
        let values = try arguments(operands, dot: dot, final: final)
        return try at(command.offset, command.text) {
            try function.check(values.count, name)
            do {
                return try machine.deeper { try function.body(Arguments(machine, values)) }
            } catch let complaint as Complaint {
                throw complaint.isLimit ? complaint : Complaint("error calling \(name): \(complaint.message)")
            } catch let error as TemplateError {
                // What went wrong in an included template: in Go's words, as long as that stays readable.
                let message = "error calling \(name): \(error.description)"
                guard message.utf8.count <= Limits.messageBytes else { throw error }
                throw Complaint(message)
            }
        }
    }

    /// `and` and `or` evaluate no more of their arguments than they need.
    private func shortCircuit(
        _ name: String, _ command: Command, _ operands: ArraySlice<Operand>, dot: Value, final: Value?
    ) throws -> Value {
        var result: Value?
        for operand in operands {
            let value = try evaluate(operand, dot: dot)
            if value.isTrue == (name == "or") { return value }
            result = value
        }
        guard let value = final ?? result else {
            return try at(command.offset, command.text) { () -> Value in
                throw Complaint("wrong number of args for \(name): want at least 1 got 0")
            }
        }
        return value
    }

    // MARK: Fields

    private func fields(
        _ names: [Bytes], of value: Value, _ command: Command, _ operands: ArraySlice<Operand>, dot: Value, final: Value?
    ) throws -> Value {
        let first = command.operands[0]
        var value = value
        for (name, following) in zip(names, names.dropFirst()) {
            guard let next = try at(first.offset, first.text, { try field(name, of: value, with: []) }) else { return .null }
            if next.isNull {
                return try at(first.offset, first.text) { () -> Value in
                    throw Complaint("nil pointer evaluating interface {}.\(following.string)")
                }
            }
            value = next
        }
        let arguments = try arguments(operands, dot: dot, final: final)
        return try at(first.offset, first.text) { try names.last.flatMap { try field($0, of: value, with: arguments) } ?? .null }
    }

    /// A field or the result of a method; nil where there is nothing of that name, or nothing to have it.
    private func field(_ name: Bytes, of value: Value, with arguments: [Value]) throws -> Value? {
        if case .files = value {
            return try FilesObject(machine).call(name.string, arguments)
        }
        guard arguments.isEmpty || value.isNull else { throw Complaint("\(name.string) is not a method but has arguments") }
        switch value {
        case .null: return nil
        case .map(let map):
            return map[name]
        case .version(let version):
            guard let field = version.field(name.string) else { break }
            return field
        case .moment(let moment):
            guard let field = moment.field(name.string) else { break }
            return field
        default: break
        }
        throw Complaint("can't evaluate field \(name.string) in type \(value.typeName)")
    }
}
