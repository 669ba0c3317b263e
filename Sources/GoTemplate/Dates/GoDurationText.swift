/// Go's durations as texts: `1h30m`, `1.5s`, `2m0s`.
enum GoDurationText {
    private static let units: [(name: Bytes, nanoseconds: Double)] = [
        (Bytes("ns"), 1), (Bytes("us"), 1e3), (Bytes("µs"), 1e3), (Bytes("ms"), 1e6), (Bytes("s"), 1e9), (Bytes("m"), 60e9),
        (Bytes("h"), 3600e9),
    ]

    /// Nanoseconds; nil for what is no duration or longer than 290 years.
    static func nanoseconds(_ text: Bytes) -> Int64? {
        var rest = text[...]
        var sign = 1.0
        if let first = rest.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            sign = first == UInt8(ascii: "-") ? -1 : 1
            rest = rest.dropFirst()
        }
        if rest.elementsEqual(Bytes("0")) { return 0 }
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isDigit || $0 == UInt8(ascii: ".") }
            guard !digits.isEmpty, digits.count < 40, let number = NumberLiteral.float(Array(digits)) else { return nil }
            rest = rest.dropFirst(digits.count)
            let name = Array(rest.prefix { !$0.isDigit && $0 != UInt8(ascii: ".") })
            guard let unit = units.first(where: { $0.name == name }) else { return nil }
            rest = rest.dropFirst(name.count)
            total += number * unit.nanoseconds
        }
        return total < 9.2e18 ? Int64((sign * total).rounded()) : nil
    }

    /// Go's Duration.String.
    static func text(_ nanoseconds: Int64) -> Bytes {
        let sign = nanoseconds < 0 ? "-" : ""
        let magnitude = nanoseconds.magnitude
        if magnitude == 0 { return Bytes("0s") }
        if magnitude < 1_000_000_000 {
            let (unit, size): (String, UInt64) = magnitude < 1_000 ? ("ns", 1) : magnitude < 1_000_000 ? ("µs", 1_000) : ("ms", 1_000_000)
            return Array((sign + fraction(magnitude, size) + unit).utf8)
        }
        let minutes = magnitude / 60_000_000_000
        let seconds = fraction(magnitude % 60_000_000_000, 1_000_000_000) + "s"
        if minutes == 0 { return Array((sign + seconds).utf8) }
        return Array((sign + (minutes >= 60 ? "\(minutes / 60)h" : "") + "\(minutes % 60)m" + seconds).utf8)
    }

    private static func fraction(_ value: UInt64, _ unit: UInt64) -> String {
        let rest = value % unit
        if rest == 0 { return String(value / unit) }
        var digits = Array(String(unit + rest).utf8.dropFirst())
        while digits.last == 0x30 { digits.removeLast() }
        return "\(value / unit).\(digits.string)"
    }

    /// Sprig's durationRound: the largest unit alone, as `2h` or `3mo`.
    static func rounded(_ nanoseconds: Int64) -> Bytes {
        let seconds = nanoseconds.magnitude / 1_000_000_000
        let units: [(UInt64, String)] = [
            (365 * 86_400, "y"), (30 * 86_400, "mo"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"),
        ]
        for (size, name) in units where seconds > size { return Array("\(seconds / size)\(name)".utf8) }
        return Bytes("0s")
    }
}
