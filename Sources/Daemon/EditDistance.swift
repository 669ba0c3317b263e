/// How unlike two words are.
enum EditDistance {
    /// Levenshtein's distance: the least number of characters to add, drop or change. Costs a.count × b.count.
    static func between(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a), Array(b))
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let change = diagonal + (x == y ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(change, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }

    /// The word that is spelt most like `word`, where there is one that could have been meant.
    static func nearest(to word: String, among words: [String]) -> String? {
        let candidates = words.map { (word: $0, distance: between($0, word)) }
        guard let best = candidates.min(by: { $0.distance < $1.distance }), best.distance <= max(2, word.count / 3) else { return nil }
        return best.word
    }
}
