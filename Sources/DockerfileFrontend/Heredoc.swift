/// A text that follows its instruction, up to a line with its name alone.
struct Heredoc: Hashable {
    let name: String
    /// `<<-`: tabs at the beginning of a line don't count.
    let stripsTabs: Bool
    /// False where a part of the name was quoted.
    let expands: Bool
    /// As it stands in the file, with line ends.
    var raw = ""

    /// Reads a word such as `<<EOF`, `<<-EOF`, `3<<"EOF"`; nil for any other word.
    init?(word: String) {
        let bytes = word.bytes
        var rest = bytes.drop(while: \.isDigit)
        guard rest.starts(with: "<<".utf8) else { return nil }
        rest = rest.dropFirst(2)
        stripsTabs = rest.first == UInt8(ascii: "-")
        if stripsTabs { rest = rest.dropFirst() }
        guard !rest.isEmpty, !rest.contains(UInt8(ascii: "<")) else { return nil }
        let lexer = Expansion(escape: UInt8(ascii: "\\"), keepsUnset: true) { _ in nil }
        guard let words = try? lexer.words(rest.text), words.count == 1, !words[0].isEmpty else { return nil }
        name = words[0]
        expands = rest.text == words[0]
    }

    /// Every heredoc that a line announces, in order.
    static func announced(in line: String, escape: UInt8) -> [Heredoc] {
        let words = Words(line, escape: escape)
        return words.isBalanced ? words.words.compactMap(Heredoc.init(word:)) : []
    }

    /// The text that the instruction gets.
    var content: String {
        guard stripsTabs else { return raw }
        var result: [UInt8] = []
        var atStart = true
        for byte in raw.utf8 {
            if atStart, byte == UInt8(ascii: "\t") { continue }
            atStart = byte == UInt8(ascii: "\n")
            result.append(byte)
        }
        return result.text
    }

    /// The first line, for progress.
    var summary: String {
        let lines = content.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
        guard let first = lines.first else { return "" }
        return String(decoding: first, as: UTF8.self) + (lines.count > 1 ? "..." : "")
    }
}
