/// Small integers for names: comparing and looking up agents' holdings by them costs little.
struct Names<Name: Hashable & Sendable>: Sendable {
    private var numbers: [Name: Int] = [:]

    /// The name's number, from 0, given at its first mention.
    mutating func number(of name: Name) -> Int {
        if let known = numbers[name] { return known }
        numbers[name] = numbers.count
        return numbers.count - 1
    }

    /// nil for a name that was never mentioned.
    subscript(name: Name) -> Int? { numbers[name] }
}
