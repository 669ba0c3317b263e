/// A regular expression of RE2's language, read.
indirect enum RegexNode {
    case empty
    case set(ScalarSet)
    case assertion(RegexAssertion)
    case group(RegexNode, number: Int)
    case sequence([RegexNode])
    case alternatives([RegexNode])
    case repeated(RegexNode, minimum: Int, maximum: Int?, isLazy: Bool)
}

/// What holds between two characters.
enum RegexAssertion {
    case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary

    func holds(_ text: [Unicode.Scalar], at position: Int) -> Bool {
        func isWord(_ index: Int) -> Bool { text.indices.contains(index) && ScalarSet.isWord(text[index]) }
        switch self {
        case .textStart: return position == 0
        case .textEnd: return position == text.count
        case .lineStart: return position == 0 || text[position - 1] == "\n"
        case .lineEnd: return position == text.count || text[position] == "\n"
        case .wordBoundary: return isWord(position - 1) != isWord(position)
        case .noWordBoundary: return isWord(position - 1) == isWord(position)
        }
    }
}

/// The characters that fit at one place.
struct ScalarSet {
    enum Part {
        case range(ClosedRange<UInt32>)
        /// A class inside of a class, as `[^\D]` has it.
        case inner(ScalarSet)
        case category(@Sendable (Unicode.GeneralCategory) -> Bool)
    }
    var parts: [Part] = []
    var isNegated = false
    var foldsCase = false

    static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || (scalar.isASCII && (UInt8(ascii: scalar).isDigit || UInt8(ascii: scalar).isASCIILetter))
    }

    init(_ ranges: [ClosedRange<UInt32>], isNegated: Bool = false) {
        parts = ranges.map { .range($0) }
        self.isNegated = isNegated
    }

    init(_ scalar: Unicode.Scalar, foldsCase: Bool) {
        self.init([scalar.value...scalar.value])
        self.foldsCase = foldsCase
    }

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        var found = holds(scalar)
        if !found, foldsCase { found = holds(scalar.lowercased) || holds(scalar.uppercased) }
        return found != isNegated
    }

    private func holds(_ scalar: Unicode.Scalar) -> Bool {
        parts.contains { part in
            switch part {
            case .range(let range): range.contains(scalar.value)
            case .inner(let set): set.contains(scalar)
            case .category(let test): test(scalar.properties.generalCategory)
            }
        }
    }

    private static func range(_ low: Unicode.Scalar, _ high: Unicode.Scalar) -> ClosedRange<UInt32> { low.value...high.value }

    private static let digits = [range("0", "9")]
    private static let words = [range("0", "9"), range("A", "Z"), range("a", "z"), range("_", "_")]
    private static let spaces = [range("\t", "\n"), range("\u{c}", "\r"), range(" ", " ")]

    /// `\d`, `\w`, `\s` and their negations, which are ASCII in RE2.
    static func perl(_ letter: Unicode.Scalar) -> ScalarSet? {
        switch letter {
        case "d", "D": ScalarSet(digits, isNegated: letter == "D")
        case "w", "W": ScalarSet(words, isNegated: letter == "W")
        case "s", "S": ScalarSet(spaces, isNegated: letter == "S")
        default: nil
        }
    }

    /// `[:alpha:]` and the others.
    static func posix(_ name: String) -> ScalarSet? {
        let upper = range("A", "Z")
        let lower = range("a", "z")
        let table: [String: [ClosedRange<UInt32>]] = [
            "alnum": digits + [upper, lower], "alpha": [upper, lower], "ascii": [0...0x7f], "blank": [range("\t", "\t"), range(" ", " ")],
            "cntrl": [0...0x1f, 0x7f...0x7f], "digit": digits, "graph": [range("!", "~")], "lower": [lower], "print": [range(" ", "~")],
            "punct": [range("!", "/"), range(":", "@"), range("[", "`"), range("{", "~")], "space": [range("\t", "\r"), range(" ", " ")],
            "upper": [upper], "word": words, "xdigit": digits + [range("A", "F"), range("a", "f")],
        ]
        return table[name].map { ScalarSet($0) }
    }

    /// `\pL` and the other general categories; nil for scripts, which Swift's library does not know.
    static func unicode(_ name: String) -> ScalarSet? {
        var set = ScalarSet([])
        let groups: [String: Set<Unicode.GeneralCategory>] = [
            "L": [.uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter], "Lu": [.uppercaseLetter],
            "Ll": [.lowercaseLetter], "Lt": [.titlecaseLetter], "Lm": [.modifierLetter], "Lo": [.otherLetter],
            "M": [.nonspacingMark, .spacingMark, .enclosingMark], "Mn": [.nonspacingMark], "Mc": [.spacingMark], "Me": [.enclosingMark],
            "N": [.decimalNumber, .letterNumber, .otherNumber], "Nd": [.decimalNumber], "Nl": [.letterNumber], "No": [.otherNumber],
            "P": [
                .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation,
                .otherPunctuation,
            ],
            "Pc": [.connectorPunctuation], "Pd": [.dashPunctuation], "Ps": [.openPunctuation], "Pe": [.closePunctuation],
            "Po": [.otherPunctuation], "S": [.mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol], "Sm": [.mathSymbol],
            "Sc": [.currencySymbol], "Sk": [.modifierSymbol], "So": [.otherSymbol],
            "Z": [.spaceSeparator, .lineSeparator, .paragraphSeparator], "Zs": [.spaceSeparator], "Cc": [.control], "Cf": [.format],
        ]
        if name == "Any" { return ScalarSet([0...0x10ffff]) }
        guard let group = groups[name] else { return nil }
        set.parts = [.category { group.contains($0) }]
        return set
    }
}
