import Glibc

/// Finds what a file has in common with its older version, both in memory: what the agent that changed it does once, so that nobody has to
/// search when somebody waits for it.
enum ContentMatch {
    /// Files below this are compared byte by byte; larger ones by the digests of their blocks.
    static let sizeLimit: UInt64 = ContentDigest.threshold
    /// A run is worth naming from here: it takes some six bytes in the journal, and as many in a request.
    private static let shortestRun = 32
    /// The unit in which content that has moved is looked for: edits that are further apart are told apart.
    private static let smallestBlock = 64
    /// Bounds the table of blocks to 1 MiB.
    private static let blockLimit = 1 << 16
    /// Below this share of the new file (a quarter) a signature of the old one would not help either.
    private static let worthwhile = 4

    /// The common runs, nil where there is too little.
    static func runs(old: UnsafeRawBufferPointer, new: UnsafeRawBufferPointer) -> [ContentRun]? {
        let inPlace = inPlace(old, new)
        var best = inPlace
        // Nearly all of it where it was: the rest is new. Else something may have moved.
        if covered(inPlace) < UInt64(new.count - new.count / 16) {
            let moved = moved(old, new)
            if covered(moved) > covered(inPlace) { best = moved }
        }
        return covered(best) * UInt64(worthwhile) >= UInt64(new.count) ? best : nil
    }

    private static func covered(_ runs: [ContentRun]) -> UInt64 { runs.reduce(0) { $0 + $1.length } }

    /// What is the same at the same place, in words of eight bytes.
    private static func inPlace(_ old: UnsafeRawBufferPointer, _ new: UnsafeRawBufferPointer) -> [ContentRun] {
        var runs: [ContentRun] = []
        let words = min(old.count, new.count) / 8
        var index = 0
        while index < words {
            let start = index
            while index < words, word(old, index) == word(new, index) { index += 1 }
            // Not to lose the last few bytes.
            let end = index == words ? common(old, new, from: words * 8) : index * 8
            if end - start * 8 >= shortestRun {
                runs.append(ContentRun(position: UInt64(start * 8), length: UInt64(end - start * 8), source: UInt64(start * 8)))
            }
            while index < words, word(old, index) != word(new, index) { index += 1 }
        }
        return runs
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> UInt64 {
        bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
    }

    private static func common(_ old: UnsafeRawBufferPointer, _ new: UnsafeRawBufferPointer, from position: Int) -> Int {
        var end = position
        while end < min(old.count, new.count), old[end] == new[end] { end += 1 }
        return end
    }

    /// What is the same at any place: a rolling hash over the new file finds the old one's blocks, each match is made as long as it is.
    private static func moved(_ old: UnsafeRawBufferPointer, _ new: UnsafeRawBufferPointer) -> [ContentRun] {
        let block = max(smallestBlock, (old.count / blockLimit + 7) / 8 * 8)
        guard old.count >= block, new.count >= block else { return [] }
        let blocks = old.count / block
        let bits = max(4, Int.bitWidth - (blocks * 2).leadingZeroBitCount)
        var table = [Int32](repeating: -1, count: 1 << bits)
        let power = (1..<block).reduce(UInt64(1)) { power, _ in power &* factor }
        for index in 0..<blocks {
            let slot = slot(hash(old, index * block, block), bits)
            // The first of equal blocks stands for all.
            if table[slot] < 0 { table[slot] = Int32(index) }
        }
        var runs: [ContentRun] = []
        var done = 0
        var position = 0
        var rolling = hash(new, 0, block)
        while position + block <= new.count {
            let candidate = table[slot(rolling, bits)]
            if candidate >= 0, equal(old, Int(candidate) * block, new, position, block) {
                var source = Int(candidate) * block
                var start = position
                while start > done, source > 0, old[source - 1] == new[start - 1] {
                    start -= 1
                    source -= 1
                }
                var length = position - start + block
                while start + length < new.count, source + length < old.count, old[source + length] == new[start + length] { length += 1 }
                ContentRun.append(
                    ContentRun(position: UInt64(start), length: UInt64(length), source: UInt64(source)), to: &runs)
                done = start + length
                position = done
                if position + block <= new.count { rolling = hash(new, position, block) }
                continue
            }
            if position + block < new.count {
                rolling = (rolling &- UInt64(new[position]) &* power) &* factor &+ UInt64(new[position + block])
            }
            position += 1
        }
        return runs
    }

    private static let factor: UInt64 = 0x9e37_79b9_7f4a_7c15 | 1

    private static func hash(_ bytes: UnsafeRawBufferPointer, _ position: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in position..<position + count { value = value &* factor &+ UInt64(bytes[index]) }
        return value
    }

    private static func slot(_ hash: UInt64, _ bits: Int) -> Int { Int((hash &* 0xff51_afd7_ed55_8ccd) >> UInt64(64 - bits)) }

    private static func equal(_ a: UnsafeRawBufferPointer, _ i: Int, _ b: UnsafeRawBufferPointer, _ j: Int, _ count: Int) -> Bool {
        guard let a = a.baseAddress, let b = b.baseAddress else { return false }
        return memcmp(a + i, b + j, count) == 0
    }
}
