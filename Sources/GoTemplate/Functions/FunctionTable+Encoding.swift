import Digests

extension FunctionTable {
    /// Digests, base 64 and 32, JSON and YAML.
    mutating func addEncoding() {
        family = .encoding
        add("sha1sum", count: 1) { a in .text(Self.hex(MessageDigest.sha1.of(try a.text(0)))) }
        add("sha256sum", count: 1) { a in .text(Digest.of(try a.text(0)).hex) }
        add("sha512sum", count: 1) { a in .text(Self.hex(MessageDigest.sha512.of(try a.text(0)))) }
        add("adler32sum", count: 1) { a in
            var (low, high): (UInt32, UInt32) = (1, 0)
            for byte in try a.text(0) {
                low = (low + UInt32(byte)) % 65_521
                high = (high + low) % 65_521
            }
            return .text(String(high << 16 | low))
        }
        add("b64enc", count: 1) { a in try a.make(BaseText.base64.encoded(try a.text(0))) }
        add("b64dec", count: 1) { a in try a.make(try BaseText.base64.decoded(try a.text(0))) }
        add("b32enc", count: 1) { a in try a.make(BaseText.base32.encoded(try a.text(0))) }
        add("b32dec", count: 1) { a in try a.make(try BaseText.base32.decoded(try a.text(0))) }
        add("toJson", "mustToJson", count: 1) { a in try a.make(try JSONWriter.text(a[0], a.machine)) }
        add("toPrettyJson", "mustToPrettyJson", count: 1) { a in try a.make(try JSONWriter.text(a[0], a.machine, isPretty: true)) }
        add("toRawJson", "mustToRawJson", count: 1) { a in try a.make(try JSONWriter.text(a[0], a.machine, escapesHTML: false)) }
        add("fromJson", "mustFromJson", count: 1) { a in try JSONReader.value(try a.text(0), a.machine) }
        add("toYaml", "mustToYaml", count: 1) { a in try a.make(try YAMLWriter.text(a[0], a.machine)) }
        add("fromYaml", "mustFromYaml", count: 1) { a in
            let value = try YAMLReader.value(try a.text(0), a.machine)
            switch value {
            case .map: return value
            case .null: return .map(try a.machine.makeMap())
            default: throw Complaint("fromYaml wants a map at the top, not a \(value.typeName); fromYamlArray takes a list")
            }
        }
        add("fromYamlArray", count: 1) { a in
            let value = try YAMLReader.value(try a.text(0), a.machine)
            switch value {
            case .list: return value
            case .null: return try a.machine.makeList([])
            default: throw Complaint("fromYamlArray wants a list at the top, not a \(value.typeName)")
            }
        }
    }

    private static func hex(_ bytes: Bytes) -> String { bytes.map { Quoting.hex(UInt32($0), 2) }.joined() }
}

/// Base 64 and base 32 of RFC 4648, padded.
struct BaseText {
    private let alphabet: Bytes
    private let bits: Int
    private let group: Int
    private let name: String

    static let base64 = BaseText(
        alphabet: Bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"), bits: 6, group: 4, name: "base64")
    static let base32 = BaseText(alphabet: Bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), bits: 5, group: 8, name: "base32")

    func encoded(_ bytes: Bytes) -> Bytes {
        var result: Bytes = []
        result.reserveCapacity(bytes.count * 8 / bits + group)
        var (buffer, held) = (0, 0)
        for byte in bytes {
            buffer = (buffer << 8 | Int(byte)) & 0xffff
            held += 8
            while held >= bits {
                held -= bits
                result.append(alphabet[buffer >> held & (1 << bits - 1)])
            }
        }
        if held > 0 { result.append(alphabet[buffer << (bits - held) & (1 << bits - 1)]) }
        while result.count % group != 0 { result.append(UInt8(ascii: "=")) }
        return result
    }

    /// Line ends are skipped; a complaint names the first byte that doesn't belong.
    func decoded(_ text: Bytes) throws -> Bytes {
        var values = [Int](repeating: -1, count: 256)
        for (value, byte) in alphabet.enumerated() { values[Int(byte)] = value }
        var result: Bytes = []
        var (buffer, held, digits, padding) = (0, 0, 0, 0)
        for (index, byte) in text.enumerated() where byte != 10 && byte != 13 {
            let value = values[Int(byte)]
            if byte == UInt8(ascii: "=") { padding += 1 }
            guard byte == UInt8(ascii: "=") || (value >= 0 && padding == 0) else {
                throw Complaint("illegal \(name) data at input byte \(index)")
            }
            if padding > 0 { continue }
            digits += 1
            buffer = (buffer << bits | value) & 0xffff
            held += bits
            if held >= 8 {
                held -= 8
                result.append(UInt8(truncatingIfNeeded: buffer >> held))
            }
        }
        // Whole groups, and no more padding than completes the last byte.
        guard (digits + padding) % group == 0, held < bits, padding < group else {
            throw Complaint("illegal \(name) data at input byte \(text.count)")
        }
        return result
    }
}
