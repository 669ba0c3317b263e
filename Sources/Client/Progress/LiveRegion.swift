/// The lines at the bottom of the screen that are drawn anew all the time. Pure: it makes the text that changes the screen.
struct LiveRegion {
    /// What stands on the screen now.
    private var drawn: [String] = []

    private static let clearLine = "\u{1B}[K"
    private static let clearBelow = "\u{1B}[J"
    // A line that is a column longer than we think must not move all that is below it.
    private static let wrapOff = "\u{1B}[?7l"
    private static let wrapOn = "\u{1B}[?7h"

    /// The text that puts `above`, which stays, in front of the region, and `lines` into it. Each line is written over the old one
    /// and only its rest cleared: nothing is ever blank in between. Empty where nothing changes.
    mutating func update(above: [String] = [], lines: [String], columns: Int) -> String {
        if above.isEmpty, lines == drawn { return "" }
        // Where the terminal has become narrower, it has broken the old lines.
        let rows = drawn.reduce(0) { $0 + max(1, (Printable.columns(Printable.line($1)) + columns - 1) / max(1, columns)) }
        var text = rows > 0 ? "\u{1B}[\(rows)A\r" : "\r"
        for line in above { text += line + Self.clearLine + "\n" }
        if !lines.isEmpty {
            text += Self.wrapOff
            for line in lines { text += line + Self.clearLine + "\n" }
            text += Self.wrapOn
        }
        drawn = lines
        return text + Self.clearBelow
    }
}
