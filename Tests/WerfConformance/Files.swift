import Testing

@testable import WerfFrontend

/// A file of a project `demo` with these documents after the meta section, which takes three lines with its separator.
func werf(_ documents: String...) throws -> WerfConfig {
    try WerfConfig(parsing: (["project: demo\nconfigVersion: 1\n"] + documents).joined(separator: "---\n"), name: "werf.yaml")
}

/// The error that a file has; empty where it has none.
func error(_ text: String) -> String {
    do throws(WerfError) {
        _ = try WerfConfig(parsing: text, name: "werf.yaml")
        return ""
    } catch { return error.description }
}

/// The error of a file whose only image has these directives besides its name; `image:` stands in line 4.
func imageError(_ directives: String) -> String {
    error("project: demo\nconfigVersion: 1\n---\nimage: app\n" + directives)
}

/// One wrong file: what stands in it, where the error is, and what it says.
struct Wrong: Sendable, CustomTestStringConvertible {
    let directives: String
    let line: Int
    let parts: [String]

    init(_ directives: String, line: Int, _ parts: String...) {
        self.directives = directives
        self.line = line
        self.parts = parts
    }

    var testDescription: String { directives.replacing("\n", with: " ⏎ ") }

    func check(_ message: String, _ location: SourceLocation = #_sourceLocation) {
        #expect(message.hasPrefix("werf.yaml:\(line): "), "\(message)", sourceLocation: location)
        for part in parts { #expect(message.contains(part), "\(message)", sourceLocation: location) }
    }
}
