/// Go's layouts of dates: the second of January 2006 at 15:04:05, written as it shall be.
struct DateLayout {
    static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ]
    static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

    private enum Part {
        case literal(Bytes)
        case element(String)
        /// `.000` and `.999`: digits of a second; the latter without zeros at the end, and without the point where none is left.
        case fraction(mark: UInt8, digits: Int, isTrimmed: Bool)
    }
    private let parts: [Part]

    // Longer ones first: January before Jan, 2006 before 2.
    private static let elements = [
        "January", "Jan", "Monday", "Mon", "MST", "2006", "Z07:00", "Z0700", "Z07", "-07:00", "-0700", "-07", "__2", "002", "01", "02",
        "03", "04", "05", "06", "15", "PM", "pm", "_2", "1", "2", "3", "4", "5",
    ].map { (name: $0, bytes: Array($0.utf8)) }

    init(_ layout: Bytes) {
        var parts: [Part] = []
        var literal: Bytes = []
        var rest = layout[...]
        func add(_ part: Part) {
            if !literal.isEmpty { parts.append(.literal(literal)) }
            literal = []
            parts.append(part)
        }
        while let byte = rest.first {
            if byte == UInt8(ascii: ".") || byte == UInt8(ascii: ","), let digit = rest.dropFirst().first, digit == 0x30 || digit == 0x39 {
                let digits = rest.dropFirst().prefix { $0 == digit }
                if digits.count <= 9, !(rest.dropFirst(1 + digits.count).first?.isDigit ?? false) {
                    add(.fraction(mark: byte, digits: digits.count, isTrimmed: digit == 0x39))
                    rest = rest.dropFirst(1 + digits.count)
                    continue
                }
            }
            if let element = Self.elements.first(where: { rest.starts(with: $0.bytes) }),
                // "Jan" is none in "January" misspelled, as "Janus"; Go looks at the next letter.
                !(element.name == "Jan" || element.name == "Mon") || !(rest.dropFirst(3).first.map { $0 >= 0x61 && $0 <= 0x7a } ?? false)
            {
                add(.element(element.name))
                rest = rest.dropFirst(element.bytes.count)
            } else {
                literal.append(byte)
                rest = rest.dropFirst()
            }
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        self.parts = parts
    }

    // MARK: Writing

    func formatted(_ moment: Moment) -> Bytes {
        parts.reduce(into: []) { result, part in
            switch part {
            case .literal(let text): result += text
            case .element(let name): result += Array(Self.text(name, moment).utf8)
            case .fraction(let mark, let digits, let isTrimmed):
                var text = Array(Self.padded(moment.nanoseconds, 9).utf8.prefix(digits))
                if isTrimmed { while text.last == 0x30 { text.removeLast() } }
                if !text.isEmpty { result += [mark] + text }
            }
        }
    }

    private static func padded(_ value: Int, _ width: Int, with pad: String = "0") -> String {
        let text = String(value)
        return String(repeating: pad, count: max(0, width - text.utf8.count)) + text
    }

    private static func text(_ element: String, _ moment: Moment) -> String {
        let (year, month, day) = moment.date
        let (hour, minute, second) = moment.time
        let hour12 = hour % 12 == 0 ? 12 : hour % 12
        switch element {
        case "January": return months[month - 1]
        case "Jan": return String(months[month - 1].prefix(3))
        case "Monday": return weekdays[moment.weekday]
        case "Mon": return String(weekdays[moment.weekday].prefix(3))
        case "2006": return padded(year, 4)
        case "06": return padded(year % 100, 2)
        case "01": return padded(month, 2)
        case "1": return String(month)
        case "02": return padded(day, 2)
        case "2": return String(day)
        case "_2": return padded(day, 2, with: " ")
        case "002": return padded(moment.dayOfYear, 3)
        case "__2": return padded(moment.dayOfYear, 3, with: " ")
        case "15": return padded(hour, 2)
        case "03": return padded(hour12, 2)
        case "3": return String(hour12)
        case "04": return padded(minute, 2)
        case "4": return String(minute)
        case "05": return padded(second, 2)
        case "5": return String(second)
        case "PM": return hour < 12 ? "AM" : "PM"
        case "pm": return hour < 12 ? "am" : "pm"
        case "MST":
            return moment.zone.isEmpty ? offset(moment.offset, separator: "", minutes: moment.offset % 3600 != 0) : moment.zone.string
        case _ where element.hasPrefix("Z") && moment.offset == 0: return "Z"
        default: return offset(moment.offset, separator: element.contains(":") ? ":" : "", minutes: element.utf8.count > 3)
        }
    }

    private static func offset(_ seconds: Int, separator: String, minutes: Bool) -> String {
        let magnitude = abs(seconds) / 60
        return (seconds < 0 ? "-" : "+") + padded(magnitude / 60, 2) + (minutes ? separator + padded(magnitude % 60, 2) : "")
    }

    // MARK: Reading

    private struct Fields {
        var (year, month, day, dayOfYear) = (0, 1, 1, 0)
        var (hour, minute, second, nanoseconds) = (0, 0, 0, 0)
        var isAfternoon: Bool?
        var offset = 0
        var zone = Bytes("UTC")
    }

    /// A text in this layout; nil for any other.
    func moment(_ text: Bytes) -> Moment? {
        var fields = Fields()
        var rest = text[...]
        for (index, part) in parts.enumerated() {
            switch part {
            case .literal(let literal):
                guard rest.starts(with: literal) else { return nil }
                rest = rest.dropFirst(literal.count)
            case .element(let name):
                guard Self.read(name, &rest, &fields) else { return nil }
                // A fraction may follow the seconds although the layout has none.
                let isFractionNext = if index + 1 < parts.count, case .fraction = parts[index + 1] { true } else { false }
                if name == "05" || name == "5", !isFractionNext, rest.first == UInt8(ascii: ".") { _ = Self.readFraction(&rest, &fields) }
            case .fraction(_, let digits, let isTrimmed):
                let count = Self.readFraction(&rest, &fields)
                guard isTrimmed || count == digits else { return nil }
            }
        }
        guard rest.isEmpty, (1...12).contains(fields.month), fields.hour < 24, fields.minute < 60, fields.second < 60 else { return nil }
        let isLeap = fields.year % 4 == 0 && (fields.year % 100 != 0 || fields.year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...lengths[fields.month - 1]).contains(fields.day), fields.dayOfYear <= (isLeap ? 366 : 365) else { return nil }
        var days = Moment.days(year: fields.year, month: fields.month, day: fields.day)
        if fields.dayOfYear > 0 { days = Moment.days(year: fields.year, month: 1, day: 1) + Int64(fields.dayOfYear - 1) }
        var hour = fields.hour
        if let isAfternoon = fields.isAfternoon {
            guard hour <= 12 else { return nil }
            hour = hour % 12 + (isAfternoon ? 12 : 0)
        }
        let seconds = days * 86_400 + Int64(hour * 3_600 + fields.minute * 60 + fields.second - fields.offset)
        return Moment(seconds: seconds, nanoseconds: fields.nanoseconds, offset: fields.offset, zone: fields.zone)
    }

    private static func readFraction(_ rest: inout ArraySlice<UInt8>, _ fields: inout Fields) -> Int {
        guard let mark = rest.first, mark == UInt8(ascii: ".") || mark == UInt8(ascii: ",") else { return 0 }
        let digits = rest.dropFirst().prefix(while: \.isDigit)
        guard !digits.isEmpty else { return 0 }
        rest = rest.dropFirst(1 + digits.count)
        fields.nanoseconds = digits.prefix(9).reduce(0) { $0 * 10 + Int($1 - 0x30) }
        for _ in 0..<max(0, 9 - digits.count) { fields.nanoseconds *= 10 }
        return digits.count
    }

    private static func number(_ rest: inout ArraySlice<UInt8>, _ widths: ClosedRange<Int>) -> Int? {
        let digits = rest.prefix(widths.upperBound).prefix(while: \.isDigit)
        guard widths.contains(digits.count) else { return nil }
        rest = rest.dropFirst(digits.count)
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func name(_ rest: inout ArraySlice<UInt8>, of names: [String], isShort: Bool) -> Int? {
        for (index, name) in names.enumerated() {
            let wanted = Array((isShort ? String(name.prefix(3)) : name).lowercased().utf8)
            if rest.prefix(wanted.count).map({ $0 | 0x20 }) == wanted {
                rest = rest.dropFirst(wanted.count)
                return index
            }
        }
        return nil
    }

    private static func read(_ element: String, _ rest: inout ArraySlice<UInt8>, _ fields: inout Fields) -> Bool {
        func store(_ value: Int?, _ field: inout Int) -> Bool {
            guard let value else { return false }
            field = value
            return true
        }
        switch element {
        case "January", "Jan": return store(name(&rest, of: months, isShort: element == "Jan").map { $0 + 1 }, &fields.month)
        case "Monday", "Mon": return name(&rest, of: weekdays, isShort: element == "Mon") != nil
        case "2006": return store(number(&rest, 4...4), &fields.year)
        case "06": return store(number(&rest, 2...2).map { $0 < 69 ? 2_000 + $0 : 1_900 + $0 }, &fields.year)
        case "01": return store(number(&rest, 2...2), &fields.month)
        case "1": return store(number(&rest, 1...2), &fields.month)
        case "02": return store(number(&rest, 2...2), &fields.day)
        case "2", "_2":
            if element == "_2", rest.first == 0x20 { rest = rest.dropFirst() }
            return store(number(&rest, 1...2), &fields.day)
        case "002", "__2":
            while element == "__2", rest.first == 0x20 { rest = rest.dropFirst() }
            return store(number(&rest, 1...3).flatMap { $0 > 0 ? $0 : nil }, &fields.dayOfYear)
        case "15": return store(number(&rest, 2...2), &fields.hour)
        case "03": return store(number(&rest, 2...2), &fields.hour)
        case "3": return store(number(&rest, 1...2), &fields.hour)
        case "04": return store(number(&rest, 2...2), &fields.minute)
        case "4": return store(number(&rest, 1...2), &fields.minute)
        case "05": return store(number(&rest, 2...2), &fields.second)
        case "5": return store(number(&rest, 1...2), &fields.second)
        case "PM", "pm":
            let text = rest.prefix(2).map { $0 | 0x20 }
            guard text == Bytes("am") || text == Bytes("pm") else { return false }
            fields.isAfternoon = text == Bytes("pm")
            rest = rest.dropFirst(2)
            return true
        case "MST":
            let zone = rest.prefix { $0 >= 0x41 && $0 <= 0x5a }
            guard (3...4).contains(zone.count) else { return false }
            fields.zone = Array(zone)
            rest = rest.dropFirst(zone.count)
            return true
        default: return readOffset(element, &rest, &fields)
        }
    }

    private static func readOffset(_ element: String, _ rest: inout ArraySlice<UInt8>, _ fields: inout Fields) -> Bool {
        if element.hasPrefix("Z"), rest.first == UInt8(ascii: "Z") {
            rest = rest.dropFirst()
            return true
        }
        guard let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { return false }
        rest = rest.dropFirst()
        guard let hours = number(&rest, 2...2), hours <= 24 else { return false }
        var minutes = 0
        if element.utf8.count > 3 {
            if element.contains(":") {
                guard rest.first == UInt8(ascii: ":") else { return false }
                rest = rest.dropFirst()
            }
            guard let read = number(&rest, 2...2), read < 60 else { return false }
            minutes = read
        }
        fields.offset = (sign == UInt8(ascii: "-") ? -60 : 60) * (hours * 60 + minutes)
        if fields.offset != 0 { fields.zone = [] }
        return true
    }
}
