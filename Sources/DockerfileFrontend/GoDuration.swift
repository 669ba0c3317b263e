/// Durations as Go writes them: `1h30m`, `1.5s`, `100ms`.
enum GoDuration {
    static let millisecond: Int64 = 1_000_000

    /// nil for anything else, for negative ones, and for what does not fit.
    static func nanoseconds(_ text: String) -> Int64? {
        if text == "0" { return 0 }
        var rest = text.bytes[...]
        guard !rest.isEmpty else { return nil }
        var total: Int64 = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isDigit || $0 == UInt8(ascii: ".") }
            let unit = rest[number.endIndex...].prefix { !$0.isDigit && $0 != UInt8(ascii: ".") }
            rest = rest[unit.endIndex...]
            // Fifteen digits are exact in a Double; Go allows a point without digits on one of its sides, Swift doesn't.
            let padded = "0" + number.text + (number.contains(UInt8(ascii: ".")) ? "0" : "")
            guard number.count <= 15, number.contains(where: \.isDigit), let factor = units[unit.text], let value = Double(padded),
                let part = Int64(exactly: (value * factor).rounded())
            else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            if overflow { return nil }
            total = sum
        }
        return total
    }

    private static let units = ["ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9]
}
