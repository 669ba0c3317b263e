extension FunctionTable {
    /// Sprig's defaults and flow control.
    mutating func addDefaults() {
        family = .defaults
        add("default", from: 1) { a in a.count > 1 && a[1].isTrue ? a[1] : a[0] }
        add("empty", count: 1) { a in .bool(!a[0].isTrue) }
        add("coalesce", from: 0) { a in a.values.first(where: \.isTrue) ?? .null }
        add("all", from: 0) { a in .bool(a.values.allSatisfy(\.isTrue)) }
        add("any", from: 0) { a in .bool(a.values.contains(where: \.isTrue)) }
        add("ternary", count: 3) { a in try a.bool(2) ? a[0] : a[1] }
        add("fail", count: 1) { a in throw Complaint(try a.text(0).string) }
        add("hello", count: 0) { _ in .text("Hello!") }
    }
}
