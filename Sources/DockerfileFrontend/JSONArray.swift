/// The JSON form of an instruction's arguments: `["a", "b"]`.
enum JSONArray: Hashable {
    case strings([String])
    /// An array, but not of strings alone.
    case otherValues
    /// Not a JSON array: the arguments are in shell form.
    case none

    init(_ text: String) {
        var parser = Parser(bytes: text.bytes)
        self = parser.parse()
    }

    private struct Parser {
        let bytes: [UInt8]
        var position = 0

        mutating func parse() -> JSONArray {
            guard take("[") else { return .none }
            var values: [String] = []
            var onlyStrings = true
            if !take("]") {
                repeat {
                    skipSpace()
                    if let value = string() {
                        values.append(value)
                    } else if scalar() {
                        onlyStrings = false
                    } else {
                        return .none
                    }
                } while take(",")
                guard take("]") else { return .none }
            }
            skipSpace()
            guard position == bytes.count else { return .none }
            return onlyStrings ? .strings(values) : .otherValues
        }

        private mutating func skipSpace() { while position < bytes.count, bytes[position].isSpace { position += 1 } }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        // A number, true, false or null.
        private mutating func scalar() -> Bool {
            let start = position
            while position < bytes.count, bytes[position].isLetter || bytes[position].isDigit || "+-.".utf8.contains(bytes[position]) {
                position += 1
            }
            let text = bytes[start..<position].text
            return ["true", "false", "null"].contains(text) || Double(text) != nil
        }

        private mutating func string() -> String? {
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { return nil }
            position += 1
            var result: [UInt8] = []
            while position < bytes.count {
                let byte = bytes[position]
                position += 1
                switch byte {
                case UInt8(ascii: "\""): return result.text
                case UInt8(ascii: "\\"):
                    guard let scalar = escaped() else { return nil }
                    result.append(contentsOf: String(Character(scalar)).utf8)
                case 0..<0x20: return nil
                default: result.append(byte)
                }
            }
            return nil
        }

        private mutating func escaped() -> Unicode.Scalar? {
            guard position < bytes.count else { return nil }
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
            case UInt8(ascii: "b"): return "\u{8}"
            case UInt8(ascii: "f"): return "\u{C}"
            case UInt8(ascii: "n"): return "\n"
            case UInt8(ascii: "r"): return "\r"
            case UInt8(ascii: "t"): return "\t"
            case UInt8(ascii: "u"): return unicode()
            default: return nil
            }
        }

        private mutating func unicode() -> Unicode.Scalar? {
            guard let first = codeUnit() else { return nil }
            if let scalar = Unicode.Scalar(first) { return scalar }
            // A surrogate is half a character; one without its other half becomes the replacement character.
            guard (0xD800..<0xDC00).contains(first), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                bytes[position + 1] == UInt8(ascii: "u")
            else { return "\u{FFFD}" }
            let start = position
            position += 2
            guard let second = codeUnit() else { return nil }
            guard (0xDC00..<0xE000).contains(second) else {
                position = start
                return "\u{FFFD}"
            }
            return Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        }

        private mutating func codeUnit() -> UInt16? {
            guard position + 4 <= bytes.count, bytes[position..<position + 4].allSatisfy({ $0.isDigit || $0.isLetter }),
                let unit = UInt16(bytes[position..<position + 4].text, radix: 16)
            else { return nil }
            position += 4
            return unit
        }
    }
}
