extension FunctionTable {
    /// Sprig's functions on lists; none changes its list.
    mutating func addLists() {
        family = .lists
        add("list", "tuple", from: 0) { a in try a.make(a.values) }
        add("first", "mustFirst", count: 1) { a in try a.list(0).first ?? .null }
        add("last", "mustLast", count: 1) { a in try a.list(0).last ?? .null }
        add("rest", "mustRest", count: 1) { a in
            let list = try a.list(0)
            return list.isEmpty ? .null : try a.make(Array(list.dropFirst()))
        }
        add("initial", "mustInitial", count: 1) { a in
            let list = try a.list(0)
            return list.isEmpty ? .null : try a.make(Array(list.dropLast()))
        }
        add("append", "push", "mustAppend", "mustPush", count: 2) { a in try a.make(try a.list(0) + [a[1]]) }
        add("prepend", "mustPrepend", count: 2) { a in try a.make([a[1]] + (try a.list(0))) }
        add("concat", from: 0) { a in
            var all: [Value] = []
            for index in a.values.indices {
                all += try a.list(index)
                guard all.count <= Limits.listElements else { return try a.make(all) }
            }
            return try a.make(all)
        }
        add("reverse", "mustReverse", count: 1) { a in try a.make(try a.list(0).reversed()) }
        add("uniq", "mustUniq", count: 1) { a in
            var unique: [Value] = []
            for value in try a.list(0) where try !Self.has(value, in: unique, a) { unique.append(value) }
            return try a.make(unique)
        }
        add("without", "mustWithout", from: 1) { a in
            let dropped = a.from(1)
            return try a.make(try a.list(0).filter { try !Self.has($0, in: dropped, a) })
        }
        add("has", "mustHas", count: 2) { a in .bool(try Self.has(a[0], in: try a.list(1), a)) }
        add("compact", "mustCompact", count: 1) { a in try a.make(try a.list(0).filter(\.isTrue)) }
        add("chunk", "mustChunk", count: 2) { a in
            let (size, list) = (try a.int(0), try a.list(1))
            guard size > 0 else { throw Complaint("chunk of \(size) elements") }
            let starts = stride(from: 0, to: list.count, by: min(size, max(1, list.count)))
            return try a.make(try starts.map { try a.make(Array(list[$0..<min(list.count, $0 + min(size, list.count))])) })
        }
    }

    private static func has(_ value: Value, in list: [Value], _ a: Arguments) throws -> Bool {
        try list.contains { try a.machine.areDeeplyEqual($0, value) }
    }
}
