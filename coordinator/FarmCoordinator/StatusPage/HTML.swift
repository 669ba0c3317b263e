import BuildPlan

/// A piece of HTML that is safe to send.
///
/// Literals are markup; every string that is put into one is escaped, so that a name or a message can't become markup: only another
/// `HTML` goes in as it is.
struct HTML: Sendable, Hashable, ExpressibleByStringInterpolation {
    /// The markup.
    private(set) var text: String

    init(stringLiteral value: String) { text = value }

    init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    private init(markup: String) { text = markup }

    struct Interpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity + interpolationCount * 16) }

        mutating func appendLiteral(_ literal: String) { text += literal }
        mutating func appendInterpolation(_ html: HTML) { text += html.text }
        mutating func appendInterpolation(_ list: [HTML]) { for html in list { text += html.text } }
        mutating func appendInterpolation(_ value: String) { text += HTML.escape(value) }
        mutating func appendInterpolation(_ value: Int) { text += String(value) }
    }

    /// Escaped for text and for attributes in double or single quotes. Control and direction-changing characters become visible, so
    /// that a name can't look like another.
    static func escape(_ value: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(value.utf8.count)
        for scalar in value.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            case "\n", "\t": escaped.unicodeScalars.append(scalar)
            case _ where scalar.properties.generalCategory == .control || isDirectional(scalar): escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// Trusted text that is markup, style or script already.
    static func trusted(_ markup: StaticString) -> HTML { HTML(markup: markup.description) }

    private static func isDirectional(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

/// Numbers and times as the page shows them.
enum Show {
    /// `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`.
    static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "–" }
        if seconds < 9.95 {
            let tenths = Int((seconds * 10).rounded())
            return "\(tenths / 10).\(tenths % 10) s"
        }
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60 < 10 ? "0" : "")\(whole % 60) s" }
        if whole < 86_400 { return "\(whole / 3600) h \(whole / 60 % 60) min" }
        return "\(whole / 86_400) d \(whole / 3600 % 24) h"
    }

    /// The time between, or until now for what still runs; a dash for what has not begun.
    static func span(from start: Timestamp?, to end: Timestamp?, now: Timestamp) -> String {
        guard let start else { return "–" }
        return duration(max(0, (end ?? now).seconds(since: start)))
    }

    /// `12 s ago`, `3 min ago`, with the time itself to hover over.
    static func ago(_ time: Timestamp, now: Timestamp) -> HTML {
        "<time datetime=\"\(time.description)\" title=\"\(time.description)\">\(age(now.seconds(since: time)))</time>"
    }

    private static func age(_ seconds: Double) -> String {
        switch seconds {
        case ..<2: "now"
        case ..<60: "\(Int(seconds)) s ago"
        case ..<3600: "\(Int(seconds) / 60) min ago"
        case ..<86_400: "\(Int(seconds) / 3600) h ago"
        default: "\(Int(min(seconds, 1e12)) / 86_400) d ago"
        }
    }

    /// The first digits of a digest, with the whole to hover over.
    static func digest(_ digest: String) -> HTML {
        let short = digest.split(separator: ":").last.map { String($0.prefix(12)) } ?? digest
        return "<code title=\"\(digest)\">\(short)</code>"
    }

    /// `312`, `60,000`.
    static func count(_ number: Int64) -> String {
        var digits = String(number.magnitude)
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        groups.insert(digits, at: 0)
        return (number < 0 ? "-" : "") + groups.joined(separator: ",")
    }

    /// `312 B`, `1.5 MB`: powers of 1000, as `farm show` and the reasons of placements have them.
    static func bytes(_ count: Int64) -> String {
        guard count >= 1000 else { return "\(max(0, count)) B" }
        var value = Double(count)
        for unit in ["kB", "MB", "GB", "TB", "PB"] {
            value /= 1000
            // What would be rounded to 1000 belongs to the next unit.
            if value < 999.95 || unit == "PB" {
                let tenths = Int((value * 10).rounded())
                return "\(tenths / 10).\(tenths % 10) \(unit)"
            }
        }
        return "\(count) B"
    }

    /// A sum that stops at the largest number: what is summed comes from agents.
    static func total(_ numbers: [Int64]) -> Int64 {
        numbers.reduce(0) { sum, number in
            let (total, overflow) = sum.addingReportingOverflow(max(0, number))
            return overflow ? .max : total
        }
    }

    /// A status as a word with its colour; the word is there for those who see no colour.
    static func status(_ word: String) -> HTML { "<span class=\"status \(word)\">\(word)</span>" }
}
