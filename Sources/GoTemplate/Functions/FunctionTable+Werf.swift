extension FunctionTable {
    /// What werf adds to sprig or has its own way.
    mutating func addWerf() {
        family = .werf
        add("env", from: 1, to: 2) { a in
            let name = try a.shown(0)
            let fallback = a.count > 1 ? try a.text(1) : nil
            guard let value = try FilesObject.asking({ try a.machine.context.variable(name.string) }) else {
                if let fallback { return .text(fallback) }
                if a.machine.context.isLoose { return .text([]) }
                throw Complaint("the environment variable \(Quoting.quoted(name).string) must be set or default must be provided")
            }
            if value.isEmpty, let fallback { return .text(fallback) }
            return try a.make(Array(value.utf8))
        }
        add("expandenv", count: 1) { a in try a.make(try Self.expanded(try a.text(0), a.machine)) }
        add("required", count: 2) { a in
            let message = try a.text(0).string
            if a[1].isNull { throw Complaint(message) }
            if case .text(let text) = a[1], text.isEmpty { throw Complaint(message) }
            return a[1]
        }
        add("include", count: 2) { a in
            let template = try a.machine.template(named: try a.text(0).string)
            return try Self.captured(a.machine) { try Execution.run(template, a[1], on: a.machine) }
        }
        add("tpl", count: 2) { a in
            let text = try a.text(0)
            // Reading costs several steps a word, and what is defined stays.
            try a.machine.spend(1 + text.count / 4)
            try a.machine.allocate(4 * text.count)
            let source = TemplateSource(name: "tpl", bytes: text)
            var definitions = try Parser.definitions(of: source, knows: Registry.knows)
            let template = definitions.removeFirst()
            a.machine.add(definitions)
            return try Self.captured(a.machine) { try Execution.run(template, a[1], on: a.machine) }
        }
        // werf shows these in its own log when templates are debugged, and prints nothing into the result.
        add("include_debug", "tpl_debug", count: 2) { _ in .text([]) }
        add("printf_debug", from: 1) { _ in .text([]) }
    }

    /// What something prints, rather than printing it.
    private static func captured(_ machine: Machine, _ body: () throws -> Void) throws -> Value {
        let outer = machine.output
        machine.output = []
        defer { machine.output = outer }
        try body()
        return try machine.makeText(machine.output)
    }

    /// `$NAME` and `${NAME}` by the environment.
    private static func expanded(_ text: Bytes, _ machine: Machine) throws -> Bytes {
        let isName = { (byte: UInt8) in byte.isASCIILetter || byte.isDigit || byte == UInt8(ascii: "_") }
        var result: Bytes = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "$") else {
                result.append(byte)
                continue
            }
            var name = rest.prefix(while: isName)
            if rest.first == UInt8(ascii: "{"), let end = rest.firstIndex(of: UInt8(ascii: "}")) {
                name = rest[(rest.startIndex + 1)..<end]
                rest = rest[(end + 1)...]
            } else {
                rest = rest.dropFirst(name.count)
            }
            guard !name.isEmpty else {
                result.append(byte)
                continue
            }
            try machine.spend()
            result += Array((try FilesObject.asking { try machine.context.variable(Array(name).string) } ?? "").utf8)
            if result.count > Limits.valueBytes { try machine.allocate(result.count) }
        }
        return result
    }
}
