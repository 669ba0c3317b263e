/// A pattern of `.Files.Glob`: `*`, `?`, `[a-z]`, `{a,b}` within a name, and `**` for any folders.
struct PathPattern {
    private let alternatives: [[Bytes]]

    /// `{a,b}` is written out; more than these many ways are hostile.
    private static let maximumAlternatives = 256

    init(_ pattern: String) throws {
        var pending = [Array(pattern.utf8)]
        var done: [Bytes] = []
        while let next = pending.popLast() {
            if let ways = try Self.expanded(next) { pending += ways.reversed() } else { done.append(next) }
            guard pending.count + done.count <= Self.maximumAlternatives else {
                throw Complaint("the pattern has more than \(Self.maximumAlternatives) alternatives")
            }
        }
        alternatives = done.map { $0.split(by: Bytes("/")) }
    }

    /// The ways of the first innermost braces; nil without any.
    private static func expanded(_ pattern: Bytes) throws -> [Bytes]? {
        guard let close = pattern.firstIndex(of: UInt8(ascii: "}")) else {
            if pattern.contains(UInt8(ascii: "{")) { throw Complaint("the pattern has a { without a }") }
            return nil
        }
        guard let open = pattern[..<close].lastIndex(of: UInt8(ascii: "{")) else { throw Complaint("the pattern has a } without a {") }
        return Array(pattern[(open + 1)..<close]).split(by: Bytes(",")).map { pattern[..<open] + $0 + pattern[(close + 1)...] }
    }

    func matches(_ path: String, _ machine: Machine) throws -> Bool {
        let names = Array(path.utf8).split(by: Bytes("/"))
        for alternative in alternatives {
            try machine.spend(1 + alternative.count * names.count)
            if try Self.matches(alternative, names, machine) { return true }
        }
        return false
    }

    // All ways through the pattern at once: `**` costs no more than names × parts.
    private static func matches(_ parts: [Bytes], _ names: [Bytes], _ machine: Machine) throws -> Bool {
        let folders = Bytes("**")
        var reached = [Bool](repeating: false, count: parts.count + 1)
        reached[0] = true
        func skipFolders() { for i in parts.indices where reached[i] && parts[i] == folders { reached[i + 1] = true } }
        skipFolders()
        for name in names {
            var next = [Bool](repeating: false, count: parts.count + 1)
            for (i, part) in parts.enumerated() where reached[i] {
                if part == folders { next[i] = true } else if try matches(part, name, machine) { next[i + 1] = true }
            }
            reached = next
            skipFolders()
        }
        return reached[parts.count]
    }

    /// One name; the last star alone is tried again, so that the time is at most name × pattern.
    private static func matches(_ pattern: Bytes, _ name: Bytes, _ machine: Machine) throws -> Bool {
        try machine.spend(pattern.count * name.count / 64)
        var (p, n) = (0, 0)
        var star: (pattern: Int, name: Int)?
        while n < name.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                star = (p, n)
                p += 1
            } else if p < pattern.count, let length = matchLength(pattern[p...], name[n]) {
                p += length
                n += 1
            } else if let last = star {
                (p, n) = (last.pattern + 1, last.name + 1)
                star = (last.pattern, last.name + 1)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// How much of the pattern stands for one byte, if that byte fits.
    private static func matchLength(_ pattern: ArraySlice<UInt8>, _ byte: UInt8) -> Int? {
        switch pattern.first {
        case UInt8(ascii: "?"): return 1
        case UInt8(ascii: "\\") where pattern.count > 1: return pattern[pattern.startIndex + 1] == byte ? 2 : nil
        case UInt8(ascii: "["):
            guard let end = pattern.dropFirst(2).firstIndex(of: UInt8(ascii: "]")) else { return byte == pattern.first ? 1 : nil }
            var set = pattern[(pattern.startIndex + 1)..<end]
            let isNegated = set.first == UInt8(ascii: "^") || set.first == UInt8(ascii: "!")
            if isNegated { set = set.dropFirst() }
            var found = false
            while let low = set.popFirst() {
                var high = low
                if set.count > 1, set.first == UInt8(ascii: "-") {
                    set = set.dropFirst()
                    high = set.popFirst() ?? low
                }
                if low <= byte, byte <= high { found = true }
            }
            return found != isNegated ? end - pattern.startIndex + 1 : nil
        case byte: return 1
        default: return nil
        }
    }
}
