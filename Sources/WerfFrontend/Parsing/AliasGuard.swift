/// Refuses, before the YAML library reads a file, aliases in the keys of mappings.
///
/// The library compares all keys of a mapping by their full content. A key that is an alias of aliases of aliases has, in a few lines, more
/// content than any machine can compare; aliases elsewhere are shared and cost nothing until they are read, which is bounded.
struct AliasGuard {
    private let lines: [[UInt8]]

    init(_ text: String) {
        lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
    }

    /// Where a `*name` of a defined `&name` may be a key, or a part of one.
    func check(file: String) throws(WerfError) {
        var anchors: Set<[UInt8]> = []
        for line in lines { for token in Self.tokens(in: line, mark: UInt8(ascii: "&")) { anchors.insert(token.name) } }
        guard !anchors.isEmpty else { return }
        var explicitKey: Int?
        for (index, line) in lines.enumerated() {
            if explicitKey == nil, Self.hasExplicitKey(line) { explicitKey = index }
            for token in Self.tokens(in: line, mark: UInt8(ascii: "*")) where anchors.contains(token.name) {
                if let explicitKey {
                    throw WerfError(
                        file: file, line: explicitKey + 1, message: "keys that begin with '?' can't stand in a file with aliases")
                }
                if Self.mayEndKey(line[token.end...]) {
                    throw WerfError(file: file, line: index + 1, message: "an alias can't be a key: write the directive's name")
                }
            }
        }
    }

    /// Names after a mark that begins a word.
    private static func tokens(in line: [UInt8], mark: UInt8) -> [(name: [UInt8], end: Int)] {
        var found: [(name: [UInt8], end: Int)] = []
        var index = 0
        while index < line.count {
            defer { index += 1 }
            guard line[index] == mark, index == 0 || startsWord(after: line[index - 1]) else { continue }
            var end = index + 1
            while end < line.count, isNameByte(line[end]) { end += 1 }
            if end > index + 1 { found.append((Array(line[(index + 1)..<end]), end)) }
        }
        return found
    }

    private static func startsWord(after byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","),
            UInt8(ascii: ":"), UInt8(ascii: "\""), UInt8(ascii: "'"):
            true
        default: false
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    // `*name :`, and `*name] :` or anything between where brackets close before the colon.
    private static func mayEndKey(_ rest: ArraySlice<UInt8>) -> Bool {
        var index = rest.startIndex
        var closed = true
        while index < rest.endIndex {
            switch rest[index] {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
            case UInt8(ascii: "]"), UInt8(ascii: "}"): closed = true
            case UInt8(ascii: ":") where closed: return true
            default: closed = false
            }
            index += 1
        }
        return false
    }

    private static func hasExplicitKey(_ line: [UInt8]) -> Bool {
        for (index, byte) in line.enumerated() where byte == UInt8(ascii: "?") {
            let before = index == 0 || startsWord(after: line[index - 1])
            let after = index + 1 == line.count || [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")].contains(line[index + 1])
            if before, after { return true }
        }
        return false
    }
}
