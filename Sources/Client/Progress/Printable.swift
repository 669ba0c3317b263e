/// Text of others made fit for a terminal: the output of a step must not move the cursor, change colours or set the title.
enum Printable {
    /// One line without control characters and escape sequences; what a carriage return overwrote is dropped; tabs become blanks.
    static func line(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var scalars = text.unicodeScalars.makeIterator()
        var pending: Unicode.Scalar?
        func next() -> Unicode.Scalar? {
            defer { pending = nil }
            return pending ?? scalars.next()
        }
        var returned = false
        while let scalar = next() {
            switch scalar {
            case "\u{1B}":
                switch scalars.next() {
                case "[": while let part = scalars.next(), !(0x40...0x7E).contains(part.value) {}
                case "]", "P", "_", "^", "X":
                    while let part = scalars.next(), part != "\u{07}" {
                        if part == "\u{1B}" {
                            _ = scalars.next()
                            break
                        }
                    }
                default: break
                }
            case "\r": returned = true
            case "\t":
                if returned { result.removeAll() }
                returned = false
                result.append(contentsOf: "    ".unicodeScalars)
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || isDirectional(scalar): break
            default:
                if returned { result.removeAll() }
                returned = false
                result.append(scalar)
            }
        }
        return String(result)
    }

    // Marks that turn the direction of text could make a log line read as another one.
    private static func isDirectional(_ scalar: Unicode.Scalar) -> Bool {
        (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
    }

    /// Text of several lines, each made printable.
    static func lines(_ text: String) -> [String] { text.split(separator: "\n").map { line(String($0)) } }

    /// The columns that a line takes on a terminal, counting wide characters as two.
    static func columns(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }

    /// The first columns of a line; where something is left out, an ellipsis is the last of them.
    static func cut(_ text: String, columns: Int) -> String {
        guard self.columns(text) > columns else { return text }
        var used = 0
        var result = ""
        for character in text {
            used += width(character)
            if used > columns - 1 { break }
            result.append(character)
        }
        return columns > 0 ? result + "…" : ""
    }

    private static func width(_ character: Character) -> Int {
        guard let first = character.unicodeScalars.first else { return 0 }
        // A mark without a letter before it; what joins letters.
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: return isWide(first) ? 2 : 1
        }
    }

    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
            0x1F1E6...0x1F1FF, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            true
        default: scalar.properties.isEmojiPresentation
        }
    }
}

/// Durations and sizes as people read them.
enum Human {
    /// `0.4s`, `12.3s`, `2m05s`, `1h02m`.
    static func duration(_ seconds: Double) -> String {
        if seconds < 60 { return "\(tenths(seconds))s" }
        let whole = Int(seconds)
        if whole < 3600 { return "\(whole / 60)m\(padded(whole % 60))s" }
        return "\(whole / 3600)h\(padded(whole / 60 % 60))m"
    }

    /// `0.123`: seconds with three digits.
    static func milliseconds(_ seconds: Double) -> String {
        let value = Int((max(0, seconds) * 1000).rounded())
        let fraction = String(value % 1000)
        return "\(value / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }

    /// `now`, `12s ago`, `3m ago`, `5h ago`, `12d ago`.
    static func age(_ seconds: Double) -> String {
        switch seconds {
        case ..<1: "now"
        case ..<60: "\(Int(seconds))s ago"
        case ..<3600: "\(Int(seconds) / 60)m ago"
        case ..<86_400: "\(Int(seconds) / 3600)h ago"
        default: "\(Int(min(seconds, 1e12)) / 86_400)d ago"
        }
    }

    /// `512 B`, `1.5 MB`: powers of 1000, as disks and networks count.
    static func bytes(_ count: Int64) -> String {
        let units = ["B", "kB", "MB", "GB", "TB", "PB"]
        var value = Double(count)
        var unit = 0
        while value >= 999.95, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\(tenths(value)) \(units[unit])"
    }

    private static func tenths(_ value: Double) -> String {
        let rounded = Int((max(0, value) * 10).rounded())
        return "\(rounded / 10).\(rounded % 10)"
    }

    private static func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
