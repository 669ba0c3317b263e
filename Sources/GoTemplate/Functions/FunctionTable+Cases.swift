extension FunctionTable {
    /// Sprig's functions that change letters.
    mutating func addCases() {
        family = .strings
        add("upper", count: 1) { a in try a.make([UInt8](scalars: try a.text(0).scalars.map(\.uppercased))) }
        add("lower", count: 1) { a in try a.make([UInt8](scalars: try a.text(0).scalars.map(\.lowercased))) }
        add("title", count: 1) { a in try a.make(Self.mapped(try a.text(0)) { $1 ? $0.uppercased : $0 }) }
        add("untitle", count: 1) { a in try a.make(Self.mapped(try a.text(0), onlySpaces: true) { $1 ? $0.lowercased : $0 }) }
        add("swapcase", count: 1) { a in
            try a.make(
                Self.mapped(try a.text(0), onlySpaces: true) { scalar, _ in
                    scalar.properties.isUppercase ? scalar.lowercased : scalar.uppercased
                })
        }
        add("initials", count: 1) { a in
            var initials: [Unicode.Scalar] = []
            _ = Self.mapped(try a.text(0), onlySpaces: true) { scalar, isFirst in
                if isFirst { initials.append(scalar) }
                return scalar
            }
            return try a.make([UInt8](scalars: initials))
        }
        add("snakecase", count: 1) { a in try a.make(CaseWords.joined(try a.text(0), by: "_")) }
        add("kebabcase", count: 1) { a in try a.make(CaseWords.joined(try a.text(0), by: "-")) }
        add("camelcase", count: 1) { a in try a.make(CaseWords.camel(try a.text(0))) }
    }

    /// Every scalar by whether it starts a word: after what is no letter, digit or underscore, or after space alone.
    private static func mapped(
        _ text: Bytes, onlySpaces: Bool = false, _ change: (Unicode.Scalar, Bool) -> Unicode.Scalar
    ) -> Bytes {
        var isFirst = true
        return [UInt8](
            scalars: text.scalars.map { scalar in
                let separates = onlySpaces ? scalar.isSpace : !(scalar.isLetter || scalar.isDecimalDigit || scalar == "_" || scalar == "'")
                defer { isFirst = separates }
                return separates ? scalar : change(scalar, isFirst)
            })
    }
}

/// The words of a name that is written in any of the usual ways.
enum CaseWords {
    private enum Kind {
        case upper, lower, digit, separator
    }

    private static func kind(_ scalar: Unicode.Scalar) -> Kind {
        if scalar == "_" || scalar == "-" || scalar.isSpace { return .separator }
        if scalar.isDecimalDigit { return .digit }
        return scalar.properties.isUppercase ? .upper : .lower
    }

    /// `HTTPServer2Go` becomes `http_server2_go`. A number goes with the lower-case letters that follow it, else with the word before.
    static func joined(_ text: Bytes, by separator: Unicode.Scalar) -> Bytes {
        let scalars = text.scalars
        let kinds = scalars.map(kind)
        var result: [Unicode.Scalar] = []
        var startsWithDigit = false
        for (index, scalar) in scalars.enumerated() {
            let before = index > 0 ? kinds[index - 1] : .separator
            let after = index + 1 < kinds.count ? kinds[index + 1] : .separator
            var starts = before == .separator
            switch kinds[index] {
            case .separator:
                result.append(separator)
                continue
            case .upper: starts = starts || before == .lower || before == .digit || (before == .upper && after == .lower)
            case .digit where !starts && before != .digit && !startsWithDigit:
                let next = kinds[index...].first { $0 != .digit }
                starts = next == .lower
            case .digit, .lower: break
            }
            if starts {
                if before != .separator { result.append(separator) }
                startsWithDigit = kinds[index] == .digit
            }
            result.append(scalar.lowercased)
        }
        return [UInt8](scalars: result)
    }

    /// `http_server` becomes `HttpServer`; separators at the ends stay.
    static func camel(_ text: Bytes) -> Bytes {
        let scalars = text.scalars
        let leading = scalars.prefix { kind($0) == .separator }
        let trailing = Array(scalars.dropFirst(leading.count).reversed().prefix { kind($0) == .separator }.reversed())
        let body = scalars.dropFirst(leading.count).dropLast(trailing.count)
        var result = Array(leading)
        var separators = 1
        for scalar in body {
            if kind(scalar) == .separator {
                separators += 1
                // Of several separators in a row all but the first stay.
                if separators > 1 { result.append(scalar) }
                continue
            }
            result.append(separators > 0 ? scalar.uppercased : scalar.lowercased)
            separators = 0
        }
        return [UInt8](scalars: result + trailing)
    }
}
