extension FunctionTable {
    /// Sprig's questions about types, in Go's names.
    mutating func addReflection() {
        family = .reflection
        add("typeOf", count: 1) { a in .text(a[0].typeName) }
        add("typeIs", count: 2) { a in .bool(try a.text(0).string == a[1].typeName) }
        add("typeIsLike", count: 2) { a in
            let wanted = try a.text(0).string
            return .bool(wanted == a[1].typeName || "*" + wanted == a[1].typeName)
        }
        add("kindOf", count: 1) { a in .text(a[0].kindName) }
        add("kindIs", count: 2) { a in .bool(try a.text(0).string == a[1].kindName) }
        add("deepEqual", count: 2) { a in .bool(try a.machine.areDeeplyEqual(a[0], a[1])) }
    }
}
