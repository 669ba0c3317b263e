/// What is wrong in a template, and where: found when it is read or while it is executed.
public struct TemplateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file's name as it was given to ``WerfTemplate``; `tpl` for a text that a template made itself.
    public let file: String
    /// The line, from 1.
    public let line: Int
    /// The byte in the line, from 0, as Go's text/template counts.
    public let column: Int
    /// What was wrong, on what; errors inside of an included template carry their own place in here.
    public let message: String

    /// `werf.yaml:3:5: executing "werf.yaml" at <.Values.a>: …`
    public var description: String { "\(file):\(line):\(column): \(message)" }

    init(file: String, line: Int, column: Int, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }
}
