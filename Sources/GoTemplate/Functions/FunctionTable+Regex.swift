extension FunctionTable {
    /// Sprig's functions on regular expressions of RE2's language. A malformed expression is always an error.
    mutating func addRegex() {
        family = .regex
        add("regexMatch", "mustRegexMatch", count: 2) { a in
            .bool(try Self.expression(a).firstMatch(in: try a.text(1).scalars, from: 0, a.machine) != nil)
        }
        add("regexFind", "mustRegexFind", count: 2) { a in
            let text = try a.text(1).scalars
            guard let match = try Self.expression(a).firstMatch(in: text, from: 0, a.machine) else { return .text([]) }
            return try a.make([UInt8](scalars: text[match[0]..<match[1]]))
        }
        add("regexFindAll", "mustRegexFindAll", count: 3) { a in
            let text = try a.text(1).scalars
            let matches = try Self.expression(a).matches(in: text, limit: try a.int(2), a.machine)
            return try a.machine.makeList(texts: matches.map { [UInt8](scalars: text[$0[0]..<$0[1]]) })
        }
        add("regexReplaceAll", "mustRegexReplaceAll", count: 3) { a in try Self.replaced(a, expands: true) }
        add("regexReplaceAllLiteral", "mustRegexReplaceAllLiteral", count: 3) { a in try Self.replaced(a, expands: false) }
        add("regexSplit", "mustRegexSplit", count: 3) { a in
            let (text, limit) = (try a.text(1).scalars, try a.int(2))
            let expression = try Self.expression(a)
            if limit == 0 { return try a.machine.makeList([]) }
            if text.isEmpty, try !a.text(0).isEmpty { return try a.machine.makeList(texts: [[]]) }
            var parts: [Bytes] = []
            var (start, end) = (0, 0)
            for match in try expression.matches(in: text, limit: limit, a.machine) {
                if limit > 0, parts.count == limit - 1 { break }
                end = match[0]
                if match[1] != 0 { parts.append([UInt8](scalars: text[start..<end])) }
                start = match[1]
            }
            if end != text.count { parts.append([UInt8](scalars: text[start...])) }
            return try a.machine.makeList(texts: parts)
        }
        add("regexQuoteMeta", count: 1) { a in
            try a.make(try a.text(0).flatMap { Bytes("\\.+*?()|[]{}^$").contains($0) ? [UInt8(ascii: "\\"), $0] : [$0] })
        }
    }

    private static func expression(_ a: Arguments) throws -> RegularExpression {
        let pattern = try a.text(0)
        try a.machine.allocate(4 * (try a.text(1).count))
        if let known = a.machine.expressions[pattern] { return known }
        let expression = try RegularExpression(pattern, a.machine)
        a.machine.expressions[pattern] = expression
        return expression
    }

    private static func replaced(_ a: Arguments, expands: Bool) throws -> Value {
        let (text, replacement) = (try a.text(1).scalars, try a.text(2))
        let expression = try expression(a)
        var result: Bytes = []
        var last = 0
        for match in try expression.matches(in: text, limit: -1, a.machine) {
            result += [UInt8](scalars: text[last..<match[0]])
            result += expands ? try Self.expanded(replacement, match, text, expression) : replacement
            last = match[1]
            if result.count > Limits.valueBytes { try a.machine.allocate(result.count) }
        }
        return try a.make(result + [UInt8](scalars: text[last...]))
    }

    /// `$1`, `${1}`, `$name` and `$$` of a replacement.
    private static func expanded(
        _ replacement: Bytes, _ match: [Int], _ text: [Unicode.Scalar], _ expression: RegularExpression
    ) throws -> Bytes {
        var result: Bytes = []
        var rest = replacement[...]
        let isName = { (byte: UInt8) in byte.isASCIILetter || byte.isDigit || byte == UInt8(ascii: "_") }
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "$") else {
                result.append(byte)
                continue
            }
            var name = rest.prefix(while: isName)
            var length = name.count
            if rest.first == UInt8(ascii: "$") {
                result.append(byte)
                rest = rest.dropFirst()
                continue
            }
            if rest.first == UInt8(ascii: "{") {
                let inner = rest.dropFirst().prefix(while: isName)
                let isClosed = rest.dropFirst(1 + inner.count).first == UInt8(ascii: "}")
                (name, length) = isClosed ? (inner, inner.count + 2) : (inner[..<inner.startIndex], 0)
            }
            guard !name.isEmpty else {
                result.append(byte)
                continue
            }
            rest = rest.dropFirst(length)
            let group = name.allSatisfy(\.isDigit) ? Int(Array(name).string) : expression.names[Array(name).string]
            if let group, group <= expression.groupCount, match[2 * group] >= 0 {
                result += [UInt8](scalars: text[match[2 * group]..<match[2 * group + 1]])
            }
        }
        return result
    }
}
