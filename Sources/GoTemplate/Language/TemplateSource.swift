/// A file's name and text, which its nodes point into.
final class TemplateSource: Sendable {
    let name: String
    let bytes: Bytes

    init(name: String, bytes: Bytes) {
        self.name = name
        self.bytes = bytes
    }

    /// An error at a byte of the text: the line from 1, the byte in it from 0, as Go counts.
    func error(at offset: Int, _ message: String) -> TemplateError {
        let before = bytes.prefix(max(0, offset))
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return TemplateError(
            file: name, line: before.count { $0 == UInt8(ascii: "\n") } + 1, column: before.count - start, message: message)
    }
}
