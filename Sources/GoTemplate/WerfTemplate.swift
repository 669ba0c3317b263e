/// A werf.yaml and the templates beside it, read and ready to be rendered.
///
/// The language is Go's text/template with the functions of sprig and of werf; docs/werf-templates.md has what differs. Rendering
/// has bounds of time, memory and depth, so that any text may be given to it.
public struct WerfTemplate: Sendable {
    private let text: String

    /// Reads all files; a mistake in any of them is an error.
    ///
    /// - Parameters:
    ///   - files: every file's name and text. The name of a file under `.werf` is its path relative to that folder; `include` and
    ///     `template` know it by that.
    ///   - main: the name of the file that is rendered.
    public init(files: [(name: String, text: String)], main: String) throws(TemplateError) {
        guard let file = files.first(where: { $0.name == main }) else {
            throw TemplateError(file: main, line: 1, column: 0, message: "there is no such file")
        }
        let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
        if let line = lines.firstIndex(where: { $0.utf8.elementsEqual("{{".utf8) || $0.contains("{{") }) {
            throw TemplateError(file: main, line: line + 1, column: 0, message: "actions are not supported yet")
        }
        text = file.text
    }

    /// The main file with its actions carried out.
    public func render(_ context: TemplateContext) throws(TemplateError) -> String { text }
}
