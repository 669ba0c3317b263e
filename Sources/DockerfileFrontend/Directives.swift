/// Parser directives: `# name=value` lines before anything else.
struct Directives: Hashable {
    /// What continues lines and takes away a character's meaning: `\`, or a backtick.
    private(set) var escape = UInt8(ascii: "\\")
    private var seen: Set<String> = []

    /// Takes one line; false where it is no directive, with which the directives end.
    mutating func read(line: some BidirectionalCollection<UInt8>) throws(Complaint) -> Bool {
        let trimmed = Array(line).trimmed
        guard trimmed.first == UInt8(ascii: "#"), let (before, value) = trimmed.dropFirst().text.cut(at: "=") else { return false }
        let name = before.bytes.trimmed.text.lowercased()
        guard ["syntax", "escape", "check"].contains(name) else { return false }
        let setting = value.bytes.trimmed.text
        guard !setting.isEmpty else { return false }
        guard seen.insert(name).inserted else { throw Complaint("the parser directive '\(name)' stands twice: one is allowed") }
        switch name {
        case "escape": try setEscape(setting)
        case "syntax": try Self.checkSyntax(setting)
        default: try Self.checkCheck(setting)
        }
        return true
    }

    private mutating func setEscape(_ value: String) throws(Complaint) {
        guard value == "\\" || value == "`" else { throw Complaint("escape=\(value): expected \\ or `") }
        escape = value == "`" ? UInt8(ascii: "`") : UInt8(ascii: "\\")
    }

    // The directive names a frontend to fetch and run. The language of docker/dockerfile 1 is built in; any other can't be had.
    private static func checkSyntax(_ value: String) throws(Complaint) {
        var name = value
        for prefix in ["docker.io/", "index.docker.io/"] where name.begins(with: prefix) { name = String(name.dropFirst(prefix.count)) }
        let tag = name.dropFirst("docker/dockerfile".count)
        let accepted =
            name == "docker/dockerfile" || tag == ":latest" || tag == ":1" || [":1.", ":1-", ":1@", "@"].contains { tag.hasPrefix($0) }
        guard name.begins(with: "docker/dockerfile"), accepted else {
            throw Complaint("syntax=\(value): other frontends are not supported, expected docker/dockerfile:1")
        }
    }

    // The settings of BuildKit's lint rules, of which there are none here: they are read so that a mistake in them is found.
    private static func checkCheck(_ value: String) throws(Complaint) {
        for part in value.utf8.split(separator: UInt8(ascii: ";")) {
            let text = part.text
            guard let (before, _) = text.cut(at: "=") else { throw Complaint("check=\(value): expected skip=…, error=… or experimental=…") }
            let key = before.bytes.trimmed.text.lowercased()
            let known = ["skip", "error", "experimental"]
            guard known.contains(key) else { throw Complaint("check=\(value): unknown key '\(key)'", key, among: known) }
        }
    }
}
