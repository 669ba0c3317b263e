/// Numbers of bytes as people write them.
public enum ByteCount {
    /// What a value looks like, for messages.
    public static let expected = "bytes, or a number with K, M, G or T (powers of 1024)"

    private static let units: [(suffix: String, shift: Int64)] = [("K", 10), ("M", 20), ("G", 30), ("T", 40)]

    /// Reads `1048576`, `64G`, `512MiB`, `1gb`; units are powers of 1024. Nil for anything else and for what does not fit.
    public static func parse(_ text: String) -> Int64? {
        var digits = text.uppercased()
        for suffix in ["IB", "B"] where digits.hasSuffix(suffix) {
            digits.removeLast(suffix.count)
            break
        }
        var shift: Int64 = 0
        for unit in units where digits.hasSuffix(unit.suffix) {
            digits.removeLast()
            shift = unit.shift
            break
        }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let number = Int64(digits), number <= Int64.max >> shift
        else { return nil }
        return number << shift
    }

    /// `1.4 GiB`: three digits at the most, for people.
    public static func format(_ bytes: Int64) -> String {
        guard bytes >= 1024 else { return "\(bytes) B" }
        var value = Double(bytes)
        var unit = 0
        let names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        while value >= 1024, unit < names.count - 1 {
            value /= 1024
            unit += 1
        }
        let tenths = Int64((value * 10).rounded())
        return tenths < 1000 ? "\(tenths / 10).\(tenths % 10) \(names[unit])" : "\((tenths + 5) / 10) \(names[unit])"
    }
}
