/// What is wrong in a werf.yaml, or in a file that it names.
public struct WerfError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file's name as it was given.
    public let file: String
    /// Of the rendered file, from 1; nil where no line is at fault.
    public let line: Int?
    /// The offending text and what was expected.
    public let message: String

    /// An error of its parts.
    public init(file: String, line: Int?, message: String) {
        self.file = file
        self.line = line
        self.message = message
    }

    /// `werf.yaml:7: mount: 'to' is given twice …`
    public var description: String { line.map { "\(file):\($0): \(message)" } ?? "\(file): \(message)" }
}
