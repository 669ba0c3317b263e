/// The `--name[=value]` words between an instruction's name and its arguments.
struct Flags {
    enum Kind {
        case value
        case list
        case truth
        /// Known to the language, not built yet.
        case refused
    }

    private var values: [String: [String]] = [:]
    /// The first flag that is not built yet, if one is there.
    private(set) var refusal: String?
    /// What follows the flags.
    private(set) var rest = ""

    init(_ line: LogicalLine, known: [String: Kind], escape: UInt8) throws(Complaint) {
        let (words, rest) = Self.split(line.arguments, escape: escape)
        self.rest = rest
        for word in words {
            let (name, value) =
                word.dropFirst(2).description.cut(at: "=").map { ($0.before, Optional($0.after)) } ?? (String(word.dropFirst(2)), nil)
            guard let kind = known[name] else {
                throw Complaint("\(line.keyword): unknown flag --\(name)", "--\(name)", among: known.keys.sorted().map { "--\($0)" })
            }
            switch kind {
            case .refused:
                if value != "false" { refusal = refusal ?? "\(line.keyword) --\(name) is not built yet" }
            case .truth:
                guard let truth = Truth.read(value ?? "true") else {
                    throw Complaint("\(line.keyword) --\(name)=\(value ?? ""): expected true or false")
                }
                try add(truth ? "true" : "false", name, line)
            case .value:
                guard let value, !value.isEmpty else { throw Complaint("\(line.keyword) --\(name): expected a value, --\(name)=…") }
                try add(value, name, line)
            case .list:
                guard let value, !value.isEmpty else { throw Complaint("\(line.keyword) --\(name): expected a value, --\(name)=…") }
                values[name, default: []].append(value)
            }
        }
    }

    private mutating func add(_ value: String, _ name: String, _ line: LogicalLine) throws(Complaint) {
        guard values.updateValue([value], forKey: name) == nil else {
            throw Complaint("\(line.keyword) --\(name) stands twice: one is allowed")
        }
    }

    subscript(name: String) -> String? { values[name]?.first }

    func list(_ name: String) -> [String] { values[name] ?? [] }

    func isTrue(_ name: String, default truth: Bool) -> Bool { self[name].map { $0 == "true" } ?? truth }

    // Words that begin with `--`, quotes and escapes taken away, up to the first that doesn't, or a lone `--`.
    private static func split(_ text: String, escape: UInt8) -> (words: [String], rest: String) {
        let bytes = text.bytes
        var words: [String] = []
        var position = 0
        while true {
            while position < bytes.count, bytes[position].isSpace { position += 1 }
            guard bytes[position...].starts(with: "--".utf8) else { return (words, bytes[position...].text) }
            var word: [UInt8] = []
            var quote: UInt8?
            while position < bytes.count, quote != nil || !bytes[position].isSpace {
                let byte = bytes[position]
                position += 1
                if byte == quote {
                    quote = nil
                } else if quote == nil, byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                    quote = byte
                } else if byte == escape {
                    if position < bytes.count { word.append(bytes[position]) }
                    position += 1
                } else {
                    word.append(byte)
                }
            }
            position = min(position, bytes.count)
            if word == "--".bytes { return (words, bytes[position...].trimmed.text) }
            words.append(word.text)
        }
    }
}

/// Truth values as Go's strconv.ParseBool reads them.
enum Truth {
    static func read(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }
}
