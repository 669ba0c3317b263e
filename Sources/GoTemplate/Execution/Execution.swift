/// A template under way: its variables and its place for errors.
final class Execution {
    let machine: Machine
    let template: TemplateDefinition
    private var variables: [(name: String, value: Value)]

    /// How a list of nodes ended.
    enum Flow {
        case normal
        case broken
        case continued
    }

    init(_ machine: Machine, _ template: TemplateDefinition, data: Value) {
        self.machine = machine
        self.template = template
        variables = [("$", data)]
    }

    /// Prints the template to the machine's output.
    static func run(_ template: TemplateDefinition, _ data: Value, on machine: Machine) throws {
        let execution = Execution(machine, template, data: data)
        try machine.deeper { _ = try execution.walk(template.nodes, dot: data) }
    }

    // MARK: Variables

    func push(_ name: String, _ value: Value) { variables.append((name, value)) }

    func assign(_ name: String, _ value: Value) throws {
        guard let index = variables.lastIndex(where: { $0.name == name }) else { throw Complaint("undefined variable: \(name)") }
        variables[index].value = value
    }

    func variable(_ name: String) throws -> Value {
        guard let variable = variables.last(where: { $0.name == name }) else { throw Complaint("undefined variable: \(name)") }
        return variable.value
    }

    private func scoped<Result>(_ body: () throws -> Result) rethrows -> Result {
        let known = variables.count
        defer { variables.removeLast(variables.count - known) }
        return try body()
    }

    // MARK: Errors

    /// Runs something that belongs to a place of the text: its complaints become errors of that place.
    func at<Result>(_ offset: Int, _ text: @autoclosure () -> Bytes, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let complaint as Complaint {
            let place = text().prefix(Limits.messageBytes).map { $0 }.string
            throw template.source.error(
                at: offset, "executing \(Quoting.quoted(Array(template.name.utf8)).string) at <\(place)>: \(complaint.message)")
        }
    }

    // MARK: Nodes

    func walk(_ nodes: [Node], dot: Value) throws -> Flow {
        for node in nodes {
            let flow = try walk(node, dot: dot)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private func walk(_ node: Node, dot: Value) throws -> Flow {
        switch node {
        case .text(let text):
            try machine.write(text)
            return .normal
        case .action(let pipeline):
            let value = try evaluate(pipeline, dot: dot)
            if pipeline.variables.isEmpty {
                try at(pipeline.offset, pipeline.text) { try machine.write(try GoText(machine).printed(value)) }
            }
            return .normal
        case .conditional(let branches, let otherwise):
            return try scoped { try conditional(branches, otherwise, dot: dot) }
        case .range(let pipeline, let body, let otherwise):
            return try scoped { try range(pipeline, body, otherwise, dot: dot) }
        case .template(let name, let argument, let offset):
            let data = try argument.map { try evaluate($0, dot: dot) } ?? .null
            try at(offset, Bytes("template ") + Quoting.quoted(Array(name.utf8))) {
                try Self.run(try machine.template(named: name), data, on: machine)
            }
            return .normal
        case .leave(let isBreak): return isBreak ? .broken : .continued
        }
    }

    private func conditional(_ branches: [Node.Branch], _ otherwise: [Node], dot: Value) throws -> Flow {
        for branch in branches {
            let value = try evaluate(branch.pipeline, dot: dot)
            if value.isTrue {
                let inner = branch.setsDot ? value : dot
                return try at(branch.pipeline.offset, branch.pipeline.text) { try machine.deeper { try walk(branch.body, dot: inner) } }
            }
        }
        return try walk(otherwise, dot: dot)
    }

    private func range(_ pipeline: Pipeline, _ body: [Node], _ otherwise: [Node], dot: Value) throws -> Flow {
        let subject = try evaluate(Pipeline(offset: pipeline.offset, variables: [], assigns: false, commands: pipeline.commands), dot: dot)
        // False when the loop is left.
        func iterate(_ key: Value, _ value: Value, single: Value) throws -> Bool {
            try scoped {
                try at(pipeline.offset, pipeline.text) { try bind(pipeline, key, value, single: single) }
                let flow = try at(pipeline.offset, pipeline.text) { try machine.deeper { try walk(body, dot: value) } }
                return flow != .broken
            }
        }
        var isEmpty = true
        switch subject {
        case .null: break
        case .list(let list):
            for (index, element) in list.elements.enumerated() {
                isEmpty = false
                if try !iterate(.int(index), element, single: element) { break }
            }
        case .map(let map):
            for key in try at(pipeline.offset, pipeline.text, { try machine.sortedKeys(map) }) {
                isEmpty = false
                let value = map[key] ?? .null
                if try !iterate(.text(key), value, single: value) { break }
            }
        case .integer(let count, let type):
            var index: Int64 = 0
            while index < count {
                isEmpty = false
                if try !iterate(.integer(index, type), .integer(index, type), single: .integer(index, type)) { break }
                index += 1
            }
        default:
            try at(pipeline.offset, pipeline.text) {
                throw Complaint("range can't iterate over \(try GoText(machine).plain(subject).string)")
            }
        }
        return isEmpty ? try walk(otherwise, dot: dot) : .normal
    }

    private func bind(_ pipeline: Pipeline, _ key: Value, _ value: Value, single: Value) throws {
        try machine.spend()
        let values = pipeline.variables.count == 2 ? [key, value] : [single]
        for (name, value) in zip(pipeline.variables, values) {
            if pipeline.assigns { try assign(name, value) } else { push(name, value) }
        }
    }
}
