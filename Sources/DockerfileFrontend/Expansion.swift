/// Variables, quotes and escapes in an instruction's words, as the shell has them, without commands and arithmetic.
///
/// `$x ${x} ${x:-d} ${x-d} ${x:+d} ${x+d} ${x:?e} ${x?e} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}`; words may hold
/// variables again. Bounded in size, depth and time, since the file is not trusted.
struct Expansion {
    /// The escape character.
    let escape: UInt8
    /// Quotes are characters like any other, as in heredocs.
    var ignoresQuotes = false
    /// A variable that is not set stays as it is written.
    var keepsUnset = false
    /// A variable's value; nil when it is not set.
    let value: (String) -> String?

    /// A word may become this long: `ENV a=$a$a`, again and again, doubles it each time.
    static let maximumBytes = 1 << 20
    /// So deep may substitutions nest: each level takes some of the stack.
    static let maximumDepth = 32

    init(escape: UInt8, ignoresQuotes: Bool = false, keepsUnset: Bool = false, value: @escaping (String) -> String?) {
        self.escape = escape
        self.ignoresQuotes = ignoresQuotes
        self.keepsUnset = keepsUnset
        self.value = value
    }

    /// The text as one word: white space stays.
    func word(_ text: String) throws(Complaint) -> String {
        var run = ExpansionRun(rules: self, text: text)
        return try run.all().text
    }

    /// The words that the text has after expansion: unquoted white space, that of values too, parts them.
    func words(_ text: String) throws(Complaint) -> [String] {
        var run = ExpansionRun(rules: self, text: text)
        _ = try run.all()
        return run.finishedWords
    }
}

private struct ExpansionRun {
    let rules: Expansion
    let text: String
    let bytes: [UInt8]
    var position = 0
    var depth = 0
    var words = WordCollector()

    init(rules: Expansion, text: String) {
        self.rules = rules
        self.text = text
        bytes = text.bytes
    }

    var finishedWords: [String] {
        var words = words
        words.end()
        return words.words
    }

    mutating func all() throws(Complaint) -> [UInt8] { try until(nil, keepsEscapes: false) }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func complaint(_ reason: String) -> Complaint { Complaint("'\(text)': \(reason)") }

    private mutating func until(_ stop: UInt8?, keepsEscapes: Bool) throws(Complaint) -> [UInt8] {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Expansion.maximumDepth else { throw complaint("substitutions nest deeper than \(Expansion.maximumDepth)") }
        var result: [UInt8] = []
        while let byte = peek {
            guard result.count <= Expansion.maximumBytes else { throw complaint("expands to more than \(Expansion.maximumBytes) bytes") }
            if byte == stop {
                position += 1
                return result
            }
            switch byte {
            case UInt8(ascii: "$"):
                let value = try dollar()
                if depth == 1 { words.add(value) }
                result += value
            case UInt8(ascii: "'") where !rules.ignoresQuotes:
                let quoted = try singleQuoted()
                if depth == 1 { words.addRaw(quoted) }
                result += quoted
            case UInt8(ascii: "\"") where !rules.ignoresQuotes:
                let quoted = try doubleQuoted(keepsEscapes: keepsEscapes)
                if depth == 1 { words.addRaw(quoted) }
                result += quoted
            case rules.escape:
                position += 1
                if keepsEscapes { result.append(byte) }
                guard let escaped = peek else { break }
                position += 1
                if depth == 1 { words.addRaw([escaped]) }
                result.append(escaped)
            default:
                position += 1
                if depth == 1 { words.add([byte]) }
                result.append(byte)
            }
        }
        if let stop { throw complaint("'\(Unicode.Scalar(stop))' is missing") }
        guard result.count <= Expansion.maximumBytes else { throw complaint("expands to more than \(Expansion.maximumBytes) bytes") }
        return result
    }

    private mutating func singleQuoted() throws(Complaint) -> [UInt8] {
        guard let end = bytes[(position + 1)...].firstIndex(of: UInt8(ascii: "'")) else { throw complaint("a single quote is not closed") }
        defer { position = end + 1 }
        return Array(bytes[(position + 1)..<end])
    }

    private mutating func doubleQuoted(keepsEscapes: Bool) throws(Complaint) -> [UInt8] {
        position += 1
        var result: [UInt8] = []
        while let byte = peek {
            guard result.count <= Expansion.maximumBytes else { throw complaint("expands to more than \(Expansion.maximumBytes) bytes") }
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return result
            case UInt8(ascii: "$"): result += try dollar()
            case rules.escape:
                position += 1
                // Before any other character it is an ordinary one.
                guard let next = peek, next == UInt8(ascii: "\"") || next == UInt8(ascii: "$") || next == rules.escape else {
                    if peek != nil { result.append(byte) }
                    continue
                }
                if keepsEscapes { result.append(byte) }
                result.append(next)
                position += 1
            default:
                result.append(byte)
                position += 1
            }
        }
        throw complaint("a double quote is not closed")
    }

    private mutating func name() -> String {
        let start = position
        guard let first = peek else { return "" }
        if first.isDigit {
            while let byte = peek, byte.isDigit { position += 1 }
        } else if "@*#?-$!".utf8.contains(first) {
            position += 1
        } else {
            while let byte = peek, byte.isLetter || byte.isDigit || byte == UInt8(ascii: "_") { position += 1 }
        }
        return bytes[start..<position].text
    }

    private mutating func dollar() throws(Complaint) -> [UInt8] {
        position += 1
        guard peek == UInt8(ascii: "{") else {
            let name = name()
            if name.isEmpty { return [UInt8(ascii: "$")] }
            return rules.value(name)?.bytes ?? (rules.keepsUnset ? "$\(name)".bytes : [])
        }
        let start = position - 1
        position += 1
        guard let first = peek else { throw complaint("'}' is missing") }
        guard !"{}:".utf8.contains(first) else { throw complaint("bad substitution: a name is missing after '${'") }
        let name = name()
        let value = rules.value(name)
        let result = try substitution(name: name, value: value)
        return value == nil && rules.keepsUnset ? Array(bytes[start..<position]) : result
    }

    private mutating func substitution(name: String, value: String?) throws(Complaint) -> [UInt8] {
        guard var modifier = peek else { throw complaint("'}' is missing") }
        position += 1
        if modifier == UInt8(ascii: "}") { return value?.bytes ?? [] }
        var emptyIsUnset = false
        if modifier == UInt8(ascii: ":") {
            emptyIsUnset = true
            guard let next = peek else { throw complaint("'}' is missing") }
            modifier = next
            position += 1
        }
        let isSet = value.map { !(emptyIsUnset && $0.isEmpty) } ?? false
        switch modifier {
        case UInt8(ascii: "-"):
            let word = try until(UInt8(ascii: "}"), keepsEscapes: false)
            return isSet ? value?.bytes ?? [] : word
        case UInt8(ascii: "+"):
            let word = try until(UInt8(ascii: "}"), keepsEscapes: false)
            return isSet ? word : []
        case UInt8(ascii: "?"):
            let word = try until(UInt8(ascii: "}"), keepsEscapes: false)
            guard !isSet, !rules.keepsUnset else { return value?.bytes ?? [] }
            throw complaint("\(name): \(word.isEmpty ? (value == nil ? "is not set" : "is empty") : word.text)")
        case UInt8(ascii: "#") where !emptyIsUnset, UInt8(ascii: "%") where !emptyIsUnset:
            let longest = peek == modifier
            if longest { position += 1 }
            let pattern = try until(UInt8(ascii: "}"), keepsEscapes: true)
            let glob = ShellGlob(pattern)
            let scalars = Array((value ?? "").unicodeScalars)
            do throws(ShellGlob.TooLong) {
                let kept =
                    try modifier == UInt8(ascii: "#")
                    ? glob.droppingPrefix(of: scalars, longest: longest) : glob.droppingSuffix(of: scalars, longest: longest)
                return kept.utf8Bytes
            } catch { throw complaint("the pattern takes too long to match") }
        case UInt8(ascii: "/") where !emptyIsUnset:
            let all = peek == UInt8(ascii: "/")
            if all { position += 1 }
            let pattern = try until(UInt8(ascii: "/"), keepsEscapes: true)
            let replacement = try until(UInt8(ascii: "}"), keepsEscapes: false)
            do throws(ShellGlob.TooLong) {
                return try ShellGlob(pattern).replacing(
                    in: Array((value ?? "").unicodeScalars), with: Array(replacement.text.unicodeScalars), all: all
                ).utf8Bytes
            } catch { throw complaint("the pattern takes too long to match, or its result is too long") }
        default:
            let written = (emptyIsUnset ? ":" : "") + [modifier].text
            throw complaint("unsupported modifier '\(written)' in a substitution: expected one of :- - :+ + :? ? # ## % %% / //")
        }
    }
}

extension [Unicode.Scalar] {
    fileprivate var utf8Bytes: [UInt8] { flatMap { $0.utf8 } }
}

/// Collects the words of an expansion: bytes that may part words, and bytes that may not.
private struct WordCollector {
    var words: [String] = []
    private var word: [UInt8] = []
    private var inWord = false

    mutating func add(_ bytes: [UInt8]) {
        for byte in bytes {
            if byte.isSpace {
                end()
            } else {
                word.append(byte)
                inWord = true
            }
        }
    }

    mutating func addRaw(_ bytes: [UInt8]) {
        word += bytes
        inWord = true
    }

    mutating func end() {
        if inWord { words.append(word.text) }
        word = []
        inWord = false
    }
}
