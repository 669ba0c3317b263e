extension FunctionTable {
    /// `eq ne lt le gt ge` as text/template has them: of basic types that are alike.
    mutating func addComparison() {
        family = .language
        add("eq", from: 1) { a in
            guard a.count > 1 else { throw Complaint("missing argument for comparison") }
            for other in a.from(1) where try Self.areEqual(a[0], other) { return .bool(true) }
            return .bool(false)
        }
        add("ne", count: 2) { a in .bool(try !Self.areEqual(a[0], a[1])) }
        add("lt", count: 2) { a in .bool(try Self.isLess(a[0], a[1])) }
        add("le", count: 2) { a in .bool(try Self.isLess(a[0], a[1]) || Self.areEqual(a[0], a[1])) }
        add("gt", count: 2) { a in .bool(try !Self.isLess(a[0], a[1]) && !Self.areEqual(a[0], a[1])) }
        add("ge", count: 2) { a in .bool(try !Self.isLess(a[0], a[1])) }
    }

    private static func areEqual(_ a: Value, _ b: Value) throws -> Bool {
        switch (a, b) {
        case (.bool(let x), .bool(let y)): return x == y
        case (.integer(let x, _), .integer(let y, _)): return x == y
        case (.float(let x), .float(let y)): return x == y
        case (.text(let x), .text(let y)): return x == y
        case (.null, .null): return true
        case (.null, .list), (.null, .map), (.list, .null), (.map, .null): return false
        default:
            for value in [a, b] {
                switch value {
                case .list, .map: throw Complaint("non-comparable type \(value.typeName)")
                default: break
                }
            }
            if a.isNull || b.isNull { return false }
            throw Complaint("incompatible types for comparison: \(a.typeName) and \(b.typeName)")
        }
    }

    private static func isLess(_ a: Value, _ b: Value) throws -> Bool {
        switch (a, b) {
        case (.integer(let x, _), .integer(let y, _)): return x < y
        case (.float(let x), .float(let y)): return x < y
        case (.text(let x), .text(let y)): return x.lexicographicallyPrecedes(y)
        case (.bool, .bool), (.list, .list), (.map, .map), (.null, _), (_, .null):
            throw Complaint("invalid type for comparison: \(a.typeName) and \(b.typeName)")
        default: throw Complaint("incompatible types for comparison: \(a.typeName) and \(b.typeName)")
        }
    }
}
