/// Several changes that follow each other, as one.
///
/// Each is joined with others of about its age, those with others, and so on: each name is looked at as often as the number of changes can
/// be halved, and not once for each change that comes after it.
public struct ChangeFold: Sendable {
    /// From the first to the last, with how many changes each is; each at least twice the next.
    private var parts: [(change: GenerationChange, count: Int)] = []

    public init() {}

    /// Adds the change that follows those before.
    public mutating func add(_ change: GenerationChange) {
        parts.append((change, 1))
        while parts.count > 1, parts[parts.count - 2].count == parts[parts.count - 1].count { joinLast() }
    }

    /// All of them as one; nil where there was none.
    public mutating func finish() -> GenerationChange? {
        while parts.count > 1 { joinLast() }
        return parts.popLast()?.change
    }

    private mutating func joinLast() {
        let later = parts.removeLast()
        let earlier = parts.removeLast()
        parts.append((earlier.change.followed(by: later.change), earlier.count + later.count))
    }
}
