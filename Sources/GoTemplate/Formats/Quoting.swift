/// Go's quoted texts and what is escaped for other languages.
enum Quoting {
    /// Go's strconv.Quote: a text between double quotes.
    static func quoted(_ text: Bytes) -> Bytes { Bytes("\"") + escaped(text, quote: UInt8(ascii: "\""), asciiOnly: false) + Bytes("\"") }

    /// `%+q`: what is not ASCII is escaped too.
    static func quotedASCII(_ text: Bytes) -> Bytes {
        Bytes("\"") + escaped(text, quote: UInt8(ascii: "\""), asciiOnly: true) + Bytes("\"")
    }

    /// Go's strconv.QuoteRune.
    static func quotedCharacter(_ text: Bytes) -> Bytes {
        Bytes("'") + escaped(text, quote: UInt8(ascii: "'"), asciiOnly: false) + Bytes("'")
    }

    private static func escaped(_ text: Bytes, quote: UInt8, asciiOnly: Bool) -> Bytes {
        var result: Bytes = []
        result.reserveCapacity(text.count + 2)
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte < 0x80 {
                result += escaped(ascii: byte, quote: quote)
                index += 1
                continue
            }
            var iterator = text[index..<min(text.count, index + 4)].makeIterator()
            var codec = UTF8()
            guard case .scalarValue(let scalar) = codec.decode(&iterator) else {
                result += Array("\\x\(hex(UInt32(byte), 2))".utf8)
                index += 1
                continue
            }
            if isPrintable(scalar), !asciiOnly {
                result += [UInt8](scalars: [scalar])
            } else {
                let code = scalar.value < 0x10000 ? "\\u\(hex(scalar.value, 4))" : "\\U\(hex(scalar.value, 8))"
                result += Array(code.utf8)
            }
            index += UTF8.width(scalar)
        }
        return result
    }

    private static func escaped(ascii byte: UInt8, quote: UInt8) -> Bytes {
        switch byte {
        case quote, UInt8(ascii: "\\"): [UInt8(ascii: "\\"), byte]
        case 7: Bytes("\\a")
        case 8: Bytes("\\b")
        case 9: Bytes("\\t")
        case 10: Bytes("\\n")
        case 11: Bytes("\\v")
        case 12: Bytes("\\f")
        case 13: Bytes("\\r")
        case 0x20..<0x7f: [byte]
        default: Array("\\x\(hex(UInt32(byte), 2))".utf8)
        }
    }

    /// Go's unicode.IsPrint.
    static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == " " { return true }
        return switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }

    static func hex(_ value: UInt32, _ digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }

    /// text/template's `html`.
    static func html(_ text: Bytes) -> Bytes {
        text.flatMap { byte -> Bytes in
            switch byte {
            case UInt8(ascii: "\""): Bytes("&#34;")
            case UInt8(ascii: "'"): Bytes("&#39;")
            case UInt8(ascii: "&"): Bytes("&amp;")
            case UInt8(ascii: "<"): Bytes("&lt;")
            case UInt8(ascii: ">"): Bytes("&gt;")
            case 0: Bytes("\u{fffd}")
            default: [byte]
            }
        }
    }

    /// text/template's `js`.
    static func javaScript(_ text: Bytes) -> Bytes {
        [UInt8](
            scalars: text.string.unicodeScalars.flatMap { scalar -> [Unicode.Scalar] in
                switch scalar {
                case "\\": Array("\\\\".unicodeScalars)
                case "'": Array("\\'".unicodeScalars)
                case "\"": Array("\\\"".unicodeScalars)
                case "<", ">", "&", "=":
                    Array("\\u\(hex(scalar.value, 4).uppercased())".unicodeScalars)
                case _ where scalar.value < 0x20 || !isPrintable(scalar):
                    Array("\\u\(hex(scalar.value, 4).uppercased())".unicodeScalars)
                default: [scalar]
                }
            })
    }

    /// Go's url.QueryEscape.
    static func urlQuery(_ text: Bytes) -> Bytes {
        text.flatMap { byte -> Bytes in
            if byte == 0x20 { return Bytes("+") }
            if byte.isDigit || byte.isASCIILetter || Bytes("-_.~").contains(byte) { return [byte] }
            return Array("%\(hex(UInt32(byte), 2).uppercased())".utf8)
        }
    }
}
