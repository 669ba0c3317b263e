// Dockerfiles are read as bytes: their syntax is ASCII, and a Swift Character would swallow a CR before its LF or an accent after a quote.

extension UInt8 {
    /// Space, tab, line feed, vertical tab, form feed, carriage return.
    var isSpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }
    var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    var isLetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20) }
}

extension Collection where Element == UInt8 {
    var text: String { String(decoding: self, as: UTF8.self) }
}

extension BidirectionalCollection where Element == UInt8, SubSequence: BidirectionalCollection<UInt8> {
    var trimmed: SubSequence {
        guard let first = firstIndex(where: { !$0.isSpace }), let last = lastIndex(where: { !$0.isSpace }) else { return self[endIndex...] }
        return self[first...last]
    }
}

extension String {
    var bytes: [UInt8] { Array(utf8) }
    /// The parts before and after the first occurrence of an ASCII character; nil where there is none.
    func cut(at separator: Unicode.Scalar) -> (before: String, after: String)? {
        guard let index = utf8.firstIndex(of: UInt8(ascii: separator)) else { return nil }
        return (String(decoding: utf8[..<index], as: UTF8.self), String(decoding: utf8[utf8.index(after: index)...], as: UTF8.self))
    }
    /// Words between white space, quotes not regarded.
    var fields: [String] { utf8.split(whereSeparator: \.isSpace).map { String(decoding: $0, as: UTF8.self) } }
    func begins(with prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }
}
