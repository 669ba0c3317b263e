/// What EXPOSE names.
enum PortRange {
    /// The ports of `80`, `80/udp`, `8000-8010/tcp`, each with its protocol.
    static func ports(_ text: String) throws(Complaint) -> [String] {
        let (numbers, transport) = text.cut(at: "/") ?? (text, "tcp")
        let protocols = ["tcp", "udp", "sctp"]
        guard protocols.contains(transport.lowercased()) else {
            throw Complaint("EXPOSE \(text): unknown protocol '\(transport)': expected tcp, udp or sctp", transport, among: protocols)
        }
        let (low, high) = numbers.cut(at: "-") ?? (numbers, numbers)
        guard let first = port(low), let last = port(high), first <= last else {
            throw Complaint("EXPOSE \(text): expected a port from 1 to 65535 or a range, like 80, 53/udp or 8000-8010")
        }
        return (first...last).map { "\($0)/\(transport.lowercased())" }
    }

    private static func port(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy(\.isDigit), let port = Int(text), (1...65_535).contains(port) else { return nil }
        return port
    }
}

/// What STOPSIGNAL names.
enum StopSignal {
    private static let names: Set<String> = [
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL", "PROF", "PWR",
        "QUIT",
        "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH",
        "XCPU", "XFSZ",
    ]
    /// The highest number that Linux has.
    private static let maximum = 64

    /// True for a name with or without SIG, for RTMIN+n and RTMAX-n, and for a number.
    static func isKnown(_ text: String) -> Bool {
        if text.utf8.allSatisfy(\.isDigit), let number = Int(text) { return (1...maximum).contains(number) }
        var name = text.uppercased()
        if name.begins(with: "SIG") { name.removeFirst(3) }
        if names.contains(name) { return true }
        for (base, sign, limit) in [("RTMIN", "+", 15), ("RTMAX", "-", 14)] where name.begins(with: base + sign) {
            if let number = Int(name.dropFirst(base.count + 1)), (1...limit).contains(number) { return true }
        }
        return false
    }
}

/// Lists of words as history shows them.
enum JSONText {
    static func array(_ words: [String]) -> String { "[" + words.map(string).joined(separator: ",") + "]" }

    private static func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
