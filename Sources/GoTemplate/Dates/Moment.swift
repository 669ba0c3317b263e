/// A point in time with its distance from UTC. Zones by name would need the machine's own tables: only UTC and distances are known.
struct Moment: Equatable {
    /// Seconds since 1970.
    let seconds: Int64
    let nanoseconds: Int
    /// East of UTC, in seconds.
    let offset: Int
    /// The zone's abbreviation; empty for a distance alone.
    let zone: Bytes

    init(seconds: Int64, nanoseconds: Int = 0, offset: Int = 0, zone: Bytes = Bytes("UTC")) {
        // Years beyond these have no date that fits Go's layouts; nothing can be reckoned with them.
        self.seconds = max(min(seconds, 253_402_300_799), -62_135_596_800)
        self.nanoseconds = nanoseconds
        self.offset = offset
        self.zone = zone
    }

    private var local: Int64 { seconds + Int64(offset) }
    private var days: Int64 { local >= 0 ? local / 86_400 : -((-local + 86_399) / 86_400) }

    /// The proleptic Gregorian date, by the reckoning in eras of 400 years.
    var date: (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let isAfterFebruary = month >= 10
        return (Int(yearOfEra + era * 400 + (isAfterFebruary ? 1 : 0)), Int(isAfterFebruary ? month - 9 : month + 3), Int(day))
    }

    var time: (hour: Int, minute: Int, second: Int) {
        let rest = Int(local - days * 86_400)
        return (rest / 3_600, rest / 60 % 60, rest % 60)
    }

    /// 0 for Sunday.
    var weekday: Int { Int(((days + 4) % 7 + 7) % 7) }

    /// 1 for the first of January.
    var dayOfYear: Int {
        let (year, _, _) = date
        return Int(days - Self.days(year: year, month: 1, day: 1)) + 1
    }

    /// Days since 1970.
    static func days(year: Int, month: Int, day: Int) -> Int64 {
        let shifted = Int64(month <= 2 ? year - 1 : year)
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// Go's Time.String.
    var description: Bytes {
        formatted(Bytes("2006-01-02 15:04:05.999999999 -0700 ")) + (zone.isEmpty ? formatted(Bytes("-0700")) : zone)
    }

    func formatted(_ layout: Bytes) -> Bytes { DateLayout(layout).formatted(self) }

    /// The methods of Go's time that templates use, without arguments.
    func field(_ name: String) -> Value? {
        switch name {
        case "Unix": .int64(seconds)
        case "UnixNano": .int64((seconds &* 1_000_000_000) &+ Int64(nanoseconds))
        case "Year": .int(date.year)
        case "Month": .text(DateLayout.months[date.month - 1])
        case "Day": .int(date.day)
        case "Hour": .int(time.hour)
        case "Minute": .int(time.minute)
        case "Second": .int(time.second)
        case "YearDay": .int(dayOfYear)
        case "Weekday": .text(DateLayout.weekdays[weekday])
        case "String": .text(description)
        case "UTC": .moment(Moment(seconds: seconds, nanoseconds: nanoseconds))
        default: nil
        }
    }

    /// The same point as it is called elsewhere.
    func moved(to name: Bytes) throws -> Moment {
        switch name.string {
        case "", "UTC", "Local": Moment(seconds: seconds, nanoseconds: nanoseconds)
        default: throw Complaint("unknown time zone \(name.prefix(60).map { $0 }.string): only UTC is known")
        }
    }
}
