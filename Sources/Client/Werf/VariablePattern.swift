import Glibc

/// An entry of `allowEnvVariables`: a name, or a regular expression between slashes that matches whole names.
struct VariablePattern: Sendable {
    private let text: String
    private let isExpression: Bool

    /// Longer ones are mistakes; the cost of matching grows with the length.
    private static let lengthLimit = 256
    private static let nameLimit = 1_024

    /// Throws ``ClientError`` with the place of an expression that can't be read.
    init(_ value: YAMLValue) throws(ClientError) {
        let text = try value.text()
        isExpression = text.count > 1 && text.hasPrefix("/") && text.hasSuffix("/")
        self.text = isExpression ? String(text.dropFirst().dropLast()) : text
        guard isExpression else { return }
        // What is left is what both RE2 and POSIX read alike, and what is matched in linear time.
        let unsupported = ["(?", "{", "\\b", "\\A", "\\z", "\\p", "\\1", "\\2", "\\3", "\\4", "\\5", "\\6", "\\7", "\\8", "\\9"]
        if let part = unsupported.first(where: { self.text.contains($0) }) {
            throw value.failure("/\(Printable.line(self.text))/: '\(part)' is not supported here")
        }
        guard self.text.utf8.count <= Self.lengthLimit else {
            throw value.failure("an expression of more than \(Self.lengthLimit) bytes")
        }
        guard Self.matches(self.posix, "") != nil else { throw value.failure("/\(Printable.line(self.text))/ is no regular expression") }
    }

    func allows(_ name: String) -> Bool {
        guard isExpression else { return text == name }
        return name.utf8.count <= Self.nameLimit && Self.matches(posix, name) == true
    }

    private var posix: String { "^(\(text.replacing("\\d", with: "[0-9]")))$" }

    // nil where the expression can't be compiled. glibc's matcher does not backtrack where there are no references back.
    private static func matches(_ expression: String, _ name: String) -> Bool? {
        var compiled = regex_t()
        guard regcomp(&compiled, expression, REG_EXTENDED | REG_NOSUB) == 0 else { return nil }
        defer { regfree(&compiled) }
        return regexec(&compiled, name, 0, nil, 0) == 0
    }
}
