extension FunctionTable {
    /// Sprig's functions on texts but for those that change letters.
    mutating func addStrings() {
        family = .strings
        add("trim", count: 1) { a in try a.make(try a.text(0).trimmed(where: \.isSpace)) }
        add("trimAll", "trimall", count: 2) { a in
            let set = Set(try a.text(0).scalars)
            return try a.make(try a.text(1).trimmed { set.contains($0) })
        }
        add("trimPrefix", count: 2) { a in
            let (prefix, text) = (try a.text(0), try a.text(1))
            return try a.make(text.hasPrefix(prefix) ? Array(text.dropFirst(prefix.count)) : text)
        }
        add("trimSuffix", count: 2) { a in
            let (suffix, text) = (try a.text(0), try a.text(1))
            return try a.make(text.hasSuffix(suffix) ? Array(text.dropLast(suffix.count)) : text)
        }
        add("nospace", count: 1) { a in try a.make([UInt8](scalars: try a.text(0).scalars.filter { !$0.isSpace })) }
        add("repeat", count: 2) { a in
            let (count, text) = (try a.int(0), try a.text(1))
            guard count >= 0 else { throw Complaint("strings: negative Repeat count") }
            let (size, overflow) = count.multipliedReportingOverflow(by: text.count)
            try a.machine.allocate(overflow ? .max : size)
            return .text([UInt8](repeating: text, times: count))
        }
        add("substr", count: 3) { a in
            let (start, end, text) = (try a.int(0), try a.int(1), try a.text(2))
            if start < 0 { return try a.make(Array(text.prefix(max(0, end)))) }
            let bound = end < 0 || end > text.count ? text.count : end
            guard start <= bound else { throw Complaint("slice bounds out of range: \(start) of \(bound)") }
            return try a.make(Array(text[start..<bound]))
        }
        add("trunc", count: 2) { a in
            let (count, text) = (try a.int(0), try a.text(1))
            return try a.make(Array(count < 0 ? text.suffix(-count) : text.prefix(count)))
        }
        add("abbrev", count: 2) { a in
            let (width, text) = (try a.int(0), try a.text(1))
            return try a.make(width < 4 ? text : try Self.abbreviated(text, offset: 0, width: width))
        }
        add("abbrevboth", count: 3) { a in
            let (offset, width, text) = (try a.int(0), try a.int(1), try a.text(2))
            if width < 4 || (offset > 0 && width < 7) { return .text(text) }
            return try a.make(try Self.abbreviated(text, offset: offset, width: width))
        }
        add("contains", count: 2) { a in
            try a.machine.spend(try a.text(1).count / 256)
            return .bool(try a.text(1).contains(try a.text(0)))
        }
        add("hasPrefix", count: 2) { a in .bool(try a.text(1).hasPrefix(try a.text(0))) }
        add("hasSuffix", count: 2) { a in .bool(try a.text(1).hasSuffix(try a.text(0))) }
        add("quote", from: 0) { a in
            let texts = try a.values.filter { !$0.isNull }.map { Quoting.quoted(try a.format.plain($0)) }
            return try a.make(Bytes(joining: texts, by: Bytes(" ")))
        }
        add("squote", from: 0) { a in
            let texts = try a.values.filter { !$0.isNull }.map { Bytes("'") + (try a.format.plain($0)) + Bytes("'") }
            return try a.make(Bytes(joining: texts, by: Bytes(" ")))
        }
        add("cat", from: 0) { a in
            let texts = try a.values.filter { !$0.isNull }.map { try a.format.plain($0) }
            return try a.make(Bytes(joining: texts, by: Bytes(" ")))
        }
        add("indent", count: 2) { a in try a.make(try Self.indented(a)) }
        add("nindent", count: 2) { a in try a.make(Bytes("\n") + (try Self.indented(a))) }
        add("replace", count: 3) { a in
            let (old, new, text) = (try a.text(0), try a.text(1), try a.text(2))
            let count = old.isEmpty ? text.count + 1 : text.occurrences(of: old).count
            try a.machine.allocate(text.count + Self.product(count, new.count))
            return .text(text.replacing(old, with: new))
        }
        add("plural", count: 3) { a in .text(try a.int(2) == 1 ? try a.text(0) : try a.text(1)) }
        add("wrap", count: 2) { a in try a.make(Wrapping.wrapped(try a.text(1), at: try a.int(0), by: Bytes("\n"), breaksWords: false)) }
        add("wrapWith", count: 3) { a in
            let (width, separator, text) = (try a.int(0), try a.text(1), try a.text(2))
            try a.machine.allocate(text.count + Self.product(text.count, separator.count))
            return .text(Wrapping.wrapped(text, at: width, by: separator, breaksWords: true))
        }
        add("split", count: 2) { a in try Self.numbered(try a.text(1).split(by: try a.text(0)), a) }
        add("splitn", count: 3) { a in try Self.numbered(try a.text(2).split(by: try a.text(0), limit: try a.int(1)), a) }
        add("splitList", count: 2) { a in
            try a.machine.spend(try a.text(1).count / 64)
            return try a.machine.makeList(texts: try a.text(1).split(by: try a.text(0)))
        }
        add("join", count: 2) { a in
            let texts = try Self.texts(a[1], a)
            let separator = try a.text(0)
            try a.machine.allocate(texts.reduce(Self.product(texts.count, separator.count)) { $0 + $1.count })
            return .text(Bytes(joining: texts, by: separator))
        }
        add("sortAlpha", count: 1) { a in
            let texts = try Self.texts(a[0], a)
            try a.machine.spend(texts.count)
            return try a.machine.makeList(texts: texts.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }

    /// A product that stays large rather than overflowing.
    static func product(_ a: Int, _ b: Int) -> Int {
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        return overflow ? Limits.valueBytes + 1 : min(product, Int.max / 4)
    }

    /// Sprig's strslice: a list's elements as texts without nil; anything else alone.
    static func texts(_ value: Value, _ a: Arguments) throws -> [Bytes] {
        switch value {
        case .null: return []
        case .list(let list): return try list.elements.filter { !$0.isNull }.map { try a.format.plain($0) }
        default: return [try a.format.plain(value)]
        }
    }

    private static func indented(_ a: Arguments) throws -> Bytes {
        let (width, text) = (try a.int(0), try a.text(1))
        guard width >= 0 else { throw Complaint("strings: negative Repeat count") }
        let lines = text.count { $0 == UInt8(ascii: "\n") } + 1
        try a.machine.allocate(text.count + product(lines, width))
        let padding = Bytes(repeating: 0x20, count: width)
        return padding + text.replacing(Bytes("\n"), with: Bytes("\n") + padding)
    }

    /// The parts as a map from `_0` on.
    private static func numbered(_ parts: [Bytes], _ a: Arguments) throws -> Value {
        let map = try a.machine.makeMap(isOfTexts: true)
        for (index, part) in parts.enumerated() { try a.machine.set(map, Array("_\(index)".utf8), try a.make(part)) }
        return .map(map)
    }

    /// With `...` where something is left out: at the end, and from an offset beyond the mark on at the start too.
    private static func abbreviated(_ text: Bytes, offset: Int, width: Int) throws -> Bytes {
        guard text.count > width else { return text }
        let mark = Bytes("...")
        let room = width - mark.count
        var start = min(offset, text.count)
        if text.count - start < room { start = text.count - room }
        if start <= mark.count + 1 { return text.prefix(room) + mark }
        guard width >= 7 else { throw Complaint("minimum abbreviation width with offset is 7") }
        if start + room < text.count { return mark + (try abbreviated(Array(text[start...]), offset: 0, width: room)) }
        return mark + text.suffix(room)
    }
}
