extension [UInt8] {
    init(_ text: StaticString) { self = text.withUTF8Buffer { Array($0) } }

    /// As text, with U+FFFD for what is not UTF-8.
    var string: String { String(decoding: self, as: UTF8.self) }

    /// The Unicode scalars, with U+FFFD for what is not UTF-8.
    var scalars: [Unicode.Scalar] { Array<Unicode.Scalar>(string.unicodeScalars) }

    init(scalars: some Sequence<Unicode.Scalar>) {
        var bytes: [UInt8] = []
        for scalar in scalars { bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter) }
        self = bytes
    }

    /// Where `pattern` occurs without overlapping, in time linear in both (Knuth, Morris and Pratt). Nothing for an empty pattern.
    func occurrences(of pattern: [UInt8], atMost limit: Int = .max) -> [Int] {
        guard !pattern.isEmpty, pattern.count <= count, limit > 0 else { return [] }
        var fallback = [Int](repeating: 0, count: pattern.count)
        var length = 0
        for i in pattern.indices.dropFirst() {
            while length > 0, pattern[i] != pattern[length] { length = fallback[length - 1] }
            if pattern[i] == pattern[length] { length += 1 }
            fallback[i] = length
        }
        var found: [Int] = []
        var matched = 0
        for i in indices {
            while matched > 0, self[i] != pattern[matched] { matched = fallback[matched - 1] }
            if self[i] == pattern[matched] { matched += 1 }
            if matched == pattern.count {
                found.append(i + 1 - matched)
                if found.count == limit { break }
                matched = 0
            }
        }
        return found
    }

    /// Parts with a separator between them, copied as whole arrays: `joined` goes by single bytes where nothing is optimized.
    init(joining parts: [[UInt8]], by separator: [UInt8] = []) {
        self = []
        reserveCapacity(parts.reduce(0) { $0 + $1.count + separator.count })
        for (index, part) in parts.enumerated() {
            if index > 0 { append(contentsOf: separator) }
            append(contentsOf: part)
        }
    }

    /// A text many times.
    init(repeating text: [UInt8], times: Int) {
        self = []
        guard !text.isEmpty, times > 0 else { return }
        if text.count == 1 {
            self = [UInt8](repeating: text[0], count: times)
            return
        }
        reserveCapacity(text.count * times)
        append(contentsOf: text)
        // Twice as much each time.
        while count < text.count * times { append(contentsOf: self[..<Swift.min(count, text.count * times - count)]) }
    }

    func contains(_ pattern: [UInt8]) -> Bool { pattern.isEmpty || !occurrences(of: pattern, atMost: 1).isEmpty }

    func hasPrefix(_ prefix: [UInt8]) -> Bool { starts(with: prefix) }

    func hasSuffix(_ suffix: [UInt8]) -> Bool { count >= suffix.count && self[(count - suffix.count)...].elementsEqual(suffix) }

    /// Go's strings.SplitN: at most `limit` parts, all of them for a negative one; an empty separator splits into characters.
    func split(by separator: [UInt8], limit: Int = -1) -> [[UInt8]] {
        if limit == 0 { return [] }
        if separator.isEmpty {
            let characters = scalars.map { [UInt8](scalars: [$0]) }
            guard limit > 0, characters.count > limit else { return characters }
            return characters.prefix(limit - 1) + [[UInt8](joining: characters.dropFirst(limit - 1).map { $0 })]
        }
        var parts: [[UInt8]] = []
        var start = 0
        for position in occurrences(of: separator, atMost: limit < 0 ? .max : limit - 1) {
            parts.append(Array(self[start..<position]))
            start = position + separator.count
        }
        return parts + [Array(self[start...])]
    }

    /// Go's strings.ReplaceAll; an empty pattern is found before each character and at the end.
    func replacing(_ pattern: [UInt8], with replacement: [UInt8]) -> [UInt8] {
        if pattern.isEmpty { return scalars.reduce(into: replacement) { $0 += [UInt8](scalars: [$1]) + replacement } }
        return [UInt8](joining: split(by: pattern), by: replacement)
    }

    /// Without the scalars at either end for which `drops` holds.
    func trimmed(left: Bool = true, right: Bool = true, where drops: (Unicode.Scalar) -> Bool) -> [UInt8] {
        var rest = scalars[...]
        if left { rest = rest.drop(while: drops) }
        if right { while let last = rest.last, drops(last) { rest.removeLast() } }
        return [UInt8](scalars: rest)
    }
}

extension UInt8 {
    /// What separates the words of an action.
    var isTemplateSpace: Bool { self == 0x20 || self == 0x09 || self == 0x0a || self == 0x0d }

    var isDigit: Bool { self >= 0x30 && self <= 0x39 }

    /// The value of a hexadecimal digit.
    var hexValue: Int? {
        switch self {
        case 0x30...0x39: Int(self) - 0x30
        case 0x41...0x46: Int(self) - 0x41 + 10
        case 0x61...0x66: Int(self) - 0x61 + 10
        default: nil
        }
    }
}

extension Unicode.Scalar {
    /// Go's unicode.IsSpace.
    var isSpace: Bool { properties.isWhitespace && value != 0x180e }

    /// Go's unicode.IsLetter.
    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    /// Go's unicode.IsDigit.
    var isDecimalDigit: Bool { properties.generalCategory == .decimalNumber }

    /// The upper case, where it is one scalar as Go has it.
    var uppercased: Unicode.Scalar { Self.single(properties.uppercaseMapping) ?? self }

    var lowercased: Unicode.Scalar { Self.single(properties.lowercaseMapping) ?? self }

    private static func single(_ text: String) -> Unicode.Scalar? {
        var scalars = text.unicodeScalars.makeIterator()
        guard let first = scalars.next(), scalars.next() == nil else { return nil }
        return first
    }
}
