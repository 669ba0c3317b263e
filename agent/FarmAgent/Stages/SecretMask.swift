/// Takes secrets out of what a step writes: each is shown as `***`, also one that was cut between two writes.
///
/// A help against mistakes, not a wall: a step that encodes a secret gets it through. Values of fewer than ``shortest`` bytes are left, since
/// they would hide ordinary text; of values of several lines each line counts too.
struct SecretMask {
    static let shortest = 4
    /// A line of a longer value, such as a key's: shorter ones are not secret alone.
    static let shortestLine = 8
    private static let replacement = Array("***".utf8)

    /// By their first byte, the longest first.
    private var patterns: [UInt8: [[UInt8]]] = [:]
    private var held: [UInt8] = []

    /// - Parameter values: as the client sent them; a line end at the end does not count.
    init(_ values: [[UInt8]]) {
        var all: Set<[UInt8]> = []
        for value in values {
            let lines = value.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
            if lines.count > 1 { for line in lines where line.count >= Self.shortestLine { all.insert(Array(line)) } }
            var whole = value
            while let last = whole.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { whole.removeLast() }
            if whole.count >= Self.shortest { all.insert(whole) }
        }
        for pattern in all { patterns[pattern[0], default: []].append(pattern) }
        for first in patterns.keys { patterns[first]?.sort { $0.count > $1.count } }
    }

    /// True where there is nothing to hide.
    var isEmpty: Bool { patterns.isEmpty }

    /// What may be shown now. What could be the beginning of a secret is held until it is known.
    mutating func filter(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { filter(held + bytes, isAll: false) }

    /// What was held, at the end.
    mutating func finish() -> [UInt8] { filter(held, isAll: true) }

    private mutating func filter(_ all: [UInt8], isAll: Bool) -> [UInt8] {
        held = []
        var shown: [UInt8] = []
        shown.reserveCapacity(all.count)
        var position = 0
        scanning: while position < all.count {
            for pattern in patterns[all[position]] ?? [] {
                let count = min(pattern.count, all.count - position)
                guard all[position..<position + count].elementsEqual(pattern[..<count]) else { continue }
                guard count == pattern.count else {
                    if isAll { continue }
                    held = Array(all[position...])
                    break scanning
                }
                shown += Self.replacement
                position += count
                continue scanning
            }
            shown.append(all[position])
            position += 1
        }
        return shown
    }
}
