/// Lines of a width, as sprig's `wrap` and `wrapWith` make them.
enum Wrapping {
    /// Breaks at the last space that fits, else after a word that is too long, or within it. Counts characters.
    static func wrapped(_ text: Bytes, at width: Int, by separator: Bytes, breaksWords: Bool) -> Bytes {
        let characters = text.scalars
        let width = max(1, width)
        var lines: [Bytes] = []
        var start = 0
        while characters.count - start > width {
            if characters[start] == " " {
                start += 1
                continue
            }
            let window = characters[start...min(characters.count - 1, start + width)]
            if let space = window.lastIndex(of: " ") {
                lines.append([UInt8](scalars: characters[start..<space]))
                start = space + 1
            } else if breaksWords {
                lines.append([UInt8](scalars: characters[start..<(start + width)]))
                start += width
            } else if let space = characters[(start + width)...].firstIndex(of: " ") {
                lines.append([UInt8](scalars: characters[start..<space]))
                start = space + 1
            } else {
                break
            }
        }
        lines.append([UInt8](scalars: characters[start...]))
        return Bytes(joining: lines, by: separator)
    }
}
