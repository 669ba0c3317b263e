import Yams

/// YAML as values, by the rules of version 1.1 that Go's yaml.v2 follows: `yes` and `on` are true, `010` is octal.
struct YAMLReader {
    private let machine: Machine

    /// One document; nil for an empty text. Keys become texts.
    static func value(_ text: Bytes, _ machine: Machine) throws -> Value {
        // The parser takes some hundred bytes a node and has a bound of its own on nesting.
        try machine.allocate(4 * text.count)
        try machine.spend(text.count / 16)
        do {
            guard let node = try Yams.compose(yaml: text.string) else { return .null }
            return try YAMLReader(machine: machine).value(node, depth: 0)
        } catch let error as YamlError {
            throw Complaint("yaml: \(String("\(error)".prefix(Limits.messageBytes)))")
        }
    }

    // Aliases repeat what they name: the steps bound what they multiply to.
    private func value(_ node: Yams.Node, depth: Int) throws -> Value {
        try machine.spend()
        try machine.checkDepth(of: depth)
        switch node {
        case .scalar(let scalar): return try value(scalar)
        case .sequence(let sequence):
            return try machine.makeList(try sequence.map { try value($0, depth: depth + 1) })
        case .mapping(let mapping):
            let map = try machine.makeMap()
            for (key, element) in mapping {
                guard case .scalar(let name) = key else { throw Complaint("yaml: a key is a list or a map") }
                if name.string == "<<", name.style == .plain {
                    try merge(element, into: map, depth: depth + 1)
                } else {
                    try machine.set(map, Array(name.string.utf8), try value(element, depth: depth + 1))
                }
            }
            return .map(map)
        case .alias: throw Complaint("yaml: an alias without its anchor")
        }
    }

    private func merge(_ node: Yams.Node, into map: MapValue, depth: Int) throws {
        let sources = if case .sequence(let sequence) = node { Array(sequence) } else { [node] }
        for source in sources {
            guard case .map(let merged) = try value(source, depth: depth) else { throw Complaint("yaml: << wants a map") }
            for (key, value) in merged.entries where map[key] == nil { try machine.set(map, key, value) }
        }
    }

    private func value(_ scalar: Yams.Node.Scalar) throws -> Value {
        let text = Array(scalar.string.utf8)
        try machine.allocate(text.count)
        if scalar.style != .plain && scalar.style != .any { return .text(text) }
        return YAMLScalar.value(text)
    }
}

/// What a plain scalar of YAML 1.1 means.
enum YAMLScalar {
    private enum Word {
        case null, yes, no, infinity, minusInfinity, notANumber

        var value: Value {
            switch self {
            case .null: .null
            case .yes: .bool(true)
            case .no: .bool(false)
            case .infinity: .float(.infinity)
            case .minusInfinity: .float(-.infinity)
            case .notANumber: .float(.nan)
            }
        }
    }

    /// In lower case, with a capital and in capitals; yaml.v2 takes no single letters for words.
    private static let words: [String: Word] = {
        var words: [String: Word] = ["": .null, "~": .null, ".nan": .notANumber, ".NaN": .notANumber, ".NAN": .notANumber]
        for (names, word) in [
            (["null"], Word.null), (["true", "yes", "on"], .yes), (["false", "no", "off"], .no), ([".inf", "+.inf"], .infinity),
            (["-.inf"], .minusInfinity),
        ] {
            for name in names {
                let start = String(name.prefix { !$0.isLetter })
                let letters = String(name.dropFirst(start.count))
                let capital = letters.prefix(1).uppercased() + letters.dropFirst()
                for form in [letters, letters.uppercased(), capital] { words[start + form] = word }
            }
        }
        return words
    }()

    static func value(_ text: Bytes) -> Value {
        if text.count <= 6, let word = words[text.string] { return word.value }
        guard let first = text.first, first.isDigit || Bytes("+-.").contains(first) else { return .text(text) }
        let plain = text.filter { $0 != UInt8(ascii: "_") }
        if let integer = NumberLiteral.integer(plain, base: 0) { return .integer(integer, .int) }
        // yaml.v2 wants a point or an exponent after digits, and no hexadecimal fraction.
        let isFraction = plain.allSatisfy { $0.isDigit || Bytes("+-.eE").contains($0) }
        if isFraction, let float = NumberLiteral.float(plain) { return .float(float) }
        return .text(text)
    }
}
