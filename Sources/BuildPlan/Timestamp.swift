/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted, as the kernel gives it.
///
/// In JSON and in images it is RFC 3339 text in UTC with as many fractional digits as are needed.
public struct Timestamp: Hashable, Sendable, Comparable {
    /// Nanoseconds since the epoch; negative before it.
    public var nanoseconds: Int64

    /// - Parameter nanoseconds: since the epoch.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// - Parameters:
    ///   - seconds: since the epoch.
    ///   - nanoseconds: 0 to 999,999,999 more.
    public init(seconds: Int64, nanoseconds: Int64 = 0) { self.nanoseconds = seconds &* 1_000_000_000 &+ nanoseconds }

    /// The epoch itself.
    public static let epoch = Timestamp(nanoseconds: 0)

    /// The earlier is the lesser.
    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Seconds from `earlier` to this, with a fraction.
    /// The result is good to a microsecond, for any two points in time.
    public func seconds(since earlier: Timestamp) -> Double {
        // The difference of two 64-bit numbers may not fit; times come from other machines.
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return overflow ? (Double(nanoseconds) - Double(earlier.nanoseconds)) / 1e9 : Double(difference) / 1e9
    }
}

extension Timestamp: LosslessStringConvertible {
    private static let billion: Int64 = 1_000_000_000
    private static let secondsPerDay: Int64 = 86_400

    /// RFC 3339 in UTC, with as many digits of the fraction as are needed.
    public var description: String {
        let seconds = nanoseconds.flooredDivision(by: Self.billion)
        // The product may be below the least number by less than a billion; the difference fits again.
        let fraction = nanoseconds &- seconds &* Self.billion
        let days = seconds.flooredDivision(by: Self.secondsPerDay)
        let (year, month, day) = Self.civil(fromDays: days)
        let second = seconds - days * Self.secondsPerDay
        var text = "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))T"
        text += "\(Self.padded(second / 3600, 2)):\(Self.padded(second / 60 % 60, 2)):\(Self.padded(second % 60, 2))"
        if fraction > 0 {
            var digits = Self.padded(fraction, 9)
            while digits.hasSuffix("0") { digits.removeLast() }
            text += "." + digits
        }
        return text + "Z"
    }

    /// Reads RFC 3339 text in UTC (`…Z`) or with a numeric offset; nil for anything else.
    public init?(_ description: String) {
        let text = Array(description.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= text.count else { return nil }
            var value: Int64 = 0
            for byte in text[range] {
                guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard text.count >= 20, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), text[10] | 0x20 == UInt8(ascii: "t"),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        var position = 19
        var fraction: Int64 = 0
        if text[position] == UInt8(ascii: ".") {
            position += 1
            let start = position
            while position < text.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[position]) { position += 1 }
            guard position > start, let value = number(start..<min(position, start + 9)) else { return nil }
            fraction = (0..<max(0, 9 - (position - start))).reduce(value) { value, _ in value * 10 }
        }
        var offset: Int64 = 0
        guard position < text.count else { return nil }
        switch text[position] {
        case UInt8(ascii: "Z"), UInt8(ascii: "z"):
            guard position + 1 == text.count else { return nil }
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            guard position + 6 == text.count, text[position + 3] == UInt8(ascii: ":"), let hours = number(position + 1..<position + 3),
                let minutes = number(position + 4..<position + 6)
            else { return nil }
            offset = (hours * 60 + minutes) * (text[position] == UInt8(ascii: "-") ? -60 : 60)
        default: return nil
        }
        // A year beyond 2262 does not fit into 64 bits of nanoseconds.
        guard (1678...2261).contains(year) else { return nil }
        let days = Self.days(fromCivil: (year, month, day))
        self.init(seconds: days * Self.secondsPerDay + hour * 3600 + minute * 60 + second - offset, nanoseconds: fraction)
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    // The proleptic Gregorian calendar counted in eras of 400 years from 0000-03-01, so that the leap day is the last of its year.
    private static func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
        let shifted = days + 719_468
        let era = shifted.flooredDivision(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    private static func days(fromCivil date: (year: Int64, month: Int64, day: Int64)) -> Int64 {
        let year = date.month <= 2 ? date.year - 1 : date.year
        let era = year.flooredDivision(by: 400)
        let yearOfEra = year - era * 400
        let marchMonth = date.month > 2 ? date.month - 3 : date.month + 9
        let dayOfYear = (153 * marchMonth + 2) / 5 + date.day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

extension Int64 {
    fileprivate func flooredDivision(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}

extension Timestamp: Codable {
    /// Reads RFC 3339 text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let time = Timestamp(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not an RFC 3339 time")
        }
        self = time
    }

    /// Writes RFC 3339 text in UTC.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
