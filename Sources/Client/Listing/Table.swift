/// Rows as aligned text for a terminal; every cell is made printable.
struct Table {
    private var rows: [[String]]
    /// The column that gives way where a row is wider than the terminal.
    private let flexible: Int?

    /// What stays of a flexible column on a narrow terminal.
    private static let narrowest = 16

    init(_ header: [String], flexible: Int? = nil) {
        rows = [header]
        self.flexible = flexible
    }

    mutating func append(_ row: [String]) { rows.append(row.map(Printable.line)) }

    /// The rows, no wider than that many columns if the flexible one can make it so; nil: as wide as they are.
    func text(columns limit: Int? = nil) -> String {
        let columns = rows[0].count
        var widths = (0..<columns).map { column in rows.map { Printable.columns($0[column]) }.max() ?? 0 }
        if let limit, let flexible {
            let others = widths.reduce(0, +) - widths[flexible] + 2 * (columns - 1)
            widths[flexible] = min(widths[flexible], max(Self.narrowest, limit - others))
        }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                let cell = index == flexible ? Printable.cut(cell, columns: widths[index]) : cell
                return cell + String(repeating: " ", count: max(0, widths[index] - Printable.columns(cell)))
            }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}
