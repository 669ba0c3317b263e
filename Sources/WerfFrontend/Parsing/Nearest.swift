/// Suggestions for mistyped names.
enum Nearest {
    /// Longer words are no typing mistakes, and the comparison takes quadratic time.
    private static let maximumLength = 40
    /// More changes make another word.
    private static let maximumDistance = 2

    /// The known word with the fewest letters to insert, delete or replace; nil when none is near.
    static func word(to word: String, among known: [String]) -> String? {
        let typed = Array(word.lowercased().utf8)
        guard !typed.isEmpty, typed.count <= maximumLength else { return nil }
        var best: (word: String, distance: Int)?
        for candidate in known {
            let distance = distance(typed, Array(candidate.lowercased().utf8))
            if distance < best?.distance ?? Int.max { best = (candidate, distance) }
        }
        guard let best, best.distance <= min(maximumDistance, max(1, typed.count / 2)) else { return nil }
        return best.word
    }

    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, byte) in a.enumerated() {
            var next = [i + 1]
            for j in b.indices { next.append(min(row[j] + (byte == b[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1)) }
            row = next
        }
        return row[b.count]
    }
}
