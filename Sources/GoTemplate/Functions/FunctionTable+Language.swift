extension FunctionTable {
    /// The functions of text/template itself but for the comparisons.
    mutating func addLanguage() {
        family = .language
        // Evaluated by ``Execution``, which gives them no more arguments than they need.
        for (name, stops) in [("and", false), ("or", true)] {
            add(name, from: 1) { a in a.values.first { $0.isTrue == stops } ?? a[a.count - 1] }
        }
        add("not", count: 1) { a in .bool(!a[0].isTrue) }
        add("print", from: 0) { a in try a.make(try a.format.sprint(a.values)) }
        add("println", from: 0) { a in try a.make(try a.format.sprintln(a.values)) }
        add("printf", from: 1) { a in try a.make(try GoFormat.formatted(try a.text(0), a.from(1), a.machine)) }
        add("html", from: 0) { a in try a.make(Quoting.html(try Self.evaluated(a))) }
        add("js", from: 0) { a in try a.make(Quoting.javaScript(try Self.evaluated(a))) }
        add("urlquery", from: 0) { a in try a.make(Quoting.urlQuery(try Self.evaluated(a))) }
        add("len", count: 1) { a in
            switch a[0] {
            case .text(let text): return .int(text.count)
            case .list(let list): return .int(list.elements.count)
            case .map(let map): return .int(map.count)
            case .null: throw Complaint("len of nil pointer")
            default: throw Complaint("len of type \(a[0].typeName)")
            }
        }
        add("index", from: 1) { a in
            try a.values.dropFirst().reduce(a[0]) { try Self.indexed($0, by: $1) }
        }
        add("slice", "mustSlice", from: 1, to: 4) { a in try Self.sliced(a) }
        add("call", from: 1) { a in throw Complaint("call of non-function: a template's values are no functions (got \(a[0].typeName))") }
    }

    // One text is taken as it is, several are printed.
    private static func evaluated(_ a: Arguments) throws -> Bytes {
        if a.count == 1, case .text(let text) = a[0] { return text }
        return try a.format.sprint(a.values)
    }

    private static func indexed(_ value: Value, by index: Value) throws -> Value {
        switch value {
        case .null: throw Complaint("index of untyped nil")
        case .map(let map):
            guard case .text(let key) = index else { throw Complaint("value has type \(index.typeName); should be string") }
            return map[key] ?? (map.isOfTexts ? .text([]) : .null)
        case .list, .text:
            guard case .integer(let position, _) = index else {
                throw Complaint("cannot index slice/array with \(index.isNull ? "nil" : "type \(index.typeName)")")
            }
            let count =
                if case .list(let list) = value { list.elements.count } else if case .text(let text) = value { text.count } else { 0 }
            guard position >= 0, position < count else { throw Complaint("index out of range: \(position)") }
            if case .list(let list) = value { return list.elements[Int(position)] }
            if case .text(let text) = value { return .integer(Int64(text[Int(position)]), .uint8) }
            return .null
        default: throw Complaint("can't index item of type \(value.typeName)")
        }
    }

    /// Go's for texts, sprig's for lists: with bounds that may be left out.
    private static func sliced(_ a: Arguments) throws -> Value {
        let count: Int
        switch a[0] {
        case .text(let text): count = text.count
        case .list(let list): count = list.elements.count
        case .null: throw Complaint("slice of untyped nil")
        default: throw Complaint("list should be type of slice or array but \(a[0].kindName)")
        }
        let start = a.count > 1 ? try a.int(1) : 0
        let end = a.count > 2 ? try a.int(2) : count
        guard start >= 0, start <= end, end <= count else { throw Complaint("slice index out of range: \(start):\(end) of \(count)") }
        switch a[0] {
        case .text(let text): return try a.make(Array(text[start..<end]))
        case .list(let list): return try a.machine.makeList(Array(list.elements[start..<end]), list.type)
        default: return .null
        }
    }
}
