/// `app=3,tools=0.5`: numbers by the name of a project or user. The last `=` counts, for names may have one.
enum NamedNumbers {
    /// Nil where a part has no name, no number or one that is not in the range, and where a name comes twice.
    static func parse<Number: LosslessStringConvertible & Comparable>(_ text: String, in range: ClosedRange<Number>) -> [String: Number]? {
        var numbers: [String: Number] = [:]
        for part in text.split(separator: ",") {
            guard let equals = part.lastIndex(of: "="), equals > part.startIndex,
                let number = Number(String(part[part.index(after: equals)...].drop { $0 == " " })), range.contains(number)
            else { return nil }
            let name = String(part[..<equals].drop { $0 == " " })
            guard !name.isEmpty, numbers.updateValue(number, forKey: name) == nil else { return nil }
        }
        return numbers
    }
}
