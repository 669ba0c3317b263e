extension FunctionTable {
    /// Sprig's semantic versions.
    mutating func addVersions() {
        family = .versions
        add("semver", count: 1) { a in .version(try SemanticVersion(try a.text(0))) }
        add("semverCompare", count: 2) { a in
            .bool(try VersionConstraint(try a.text(0)).allows(try SemanticVersion(try a.text(1))))
        }
    }
}

/// A version by semver.org 2.0, with `v` before it and parts left out as Masterminds/semver takes it.
struct SemanticVersion: Equatable {
    let numbers: [UInt64]
    let prerelease: Bytes
    let metadata: Bytes
    let original: Bytes
    /// How many of the three numbers were written.
    let precision: Int

    init(_ text: Bytes) throws {
        guard let version = SemanticVersion(parsing: text, allowsWildcards: false) else {
            throw Complaint("Invalid Semantic Version: \(Quoting.quoted(Array(text.prefix(80))).string)")
        }
        self = version
    }

    /// Nil for what is no version; wildcards (`x`, `X`, `*`) end the numbers that count.
    init?(parsing text: Bytes, allowsWildcards: Bool) {
        original = text
        var rest = text[...]
        if rest.first == UInt8(ascii: "v") { rest = rest.dropFirst() }
        guard rest.count <= 256 else { return nil }
        var meta: ArraySlice<UInt8>?
        var pre: ArraySlice<UInt8>?
        if let plus = rest.firstIndex(of: UInt8(ascii: "+")) { (meta, rest) = (rest[(plus + 1)...], rest[..<plus]) }
        if let dash = rest.firstIndex(of: UInt8(ascii: "-")) { (pre, rest) = (rest[(dash + 1)...], rest[..<dash]) }
        let isIdentifier = { (part: ArraySlice<UInt8>) in
            !part.isEmpty && part.allSatisfy { $0.isDigit || $0.isASCIILetter || $0 == UInt8(ascii: "-") }
        }
        for part in [pre, meta].compactMap({ $0 }) {
            guard part.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy(isIdentifier) else { return nil }
        }
        var numbers: [UInt64] = []
        var isOpen = false
        let parts = rest.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count) else { return nil }
        for part in parts {
            if allowsWildcards, part.count == 1, Bytes("xX*").contains(part.first ?? 0) {
                isOpen = true
                continue
            }
            guard !isOpen, !part.isEmpty, part.allSatisfy(\.isDigit), let number = UInt64(Array(part).string) else { return nil }
            numbers.append(number)
        }
        precision = numbers.count
        self.numbers = numbers + [UInt64](repeating: 0, count: 3 - numbers.count)
        prerelease = Array(pre ?? [])
        metadata = Array(meta ?? [])
    }

    var description: String {
        numbers.map(String.init).joined(separator: ".") + (prerelease.isEmpty ? "" : "-\(prerelease.string)")
            + (metadata.isEmpty ? "" : "+\(metadata.string)")
    }

    /// `.Major` and the others that templates may ask for.
    func field(_ name: String) -> Value? {
        switch name {
        case "Major", "Minor", "Patch":
            let index = name == "Major" ? 0 : name == "Minor" ? 1 : 2
            return .int64(Int64(clamping: numbers[index]))
        case "Prerelease": return .text(prerelease)
        case "Metadata": return .text(metadata)
        case "Original": return .text(original)
        case "String": return .text(description)
        default: return nil
        }
    }

    /// The order of semver.org: a prerelease comes before its version.
    func precedes(_ other: SemanticVersion) -> Bool {
        if numbers != other.numbers { return numbers.lexicographicallyPrecedes(other.numbers) }
        if prerelease.isEmpty || other.prerelease.isEmpty { return !prerelease.isEmpty && other.prerelease.isEmpty }
        let (ours, theirs) = (prerelease.split(by: Bytes(".")), other.prerelease.split(by: Bytes(".")))
        for (a, b) in zip(ours, theirs) where a != b {
            switch (UInt64(a.string), UInt64(b.string)) {
            case (let x?, let y?): return x < y
            case (.some, nil): return true
            case (nil, .some): return false
            case (nil, nil): return a.lexicographicallyPrecedes(b)
            }
        }
        return ours.count < theirs.count
    }
}

/// What `semverCompare` asks of a version: `>=1.2, <2 || ~1.2.3 || ^1.4 || 1.2 - 1.4.5 || !=1.3.x`.
struct VersionConstraint {
    private struct Comparison {
        let sign: String
        let version: SemanticVersion
    }
    private let alternatives: [[Comparison]]
    /// More than these many comparisons are hostile.
    private static let maximumCount = 256

    init(_ text: Bytes) throws {
        alternatives = try text.split(by: Bytes("||")).map { try Self.comparisons($0) }
        guard alternatives.reduce(0, { $0 + $1.count }) <= Self.maximumCount else { throw Complaint("constraint too long") }
    }

    private static func comparisons(_ text: Bytes) throws -> [Comparison] {
        let invalid = Complaint("improper constraint: \(text.prefix(80).map { $0 }.string)")
        let isSign = { (byte: UInt8) in Bytes("<>=!~^").contains(byte) }
        // `1.2 - 1.4` is a range; signs may stand apart from their versions.
        var words = text.split { $0.isTemplateSpace || $0 == UInt8(ascii: ",") }.map { Array($0) }
        guard words.count <= maximumCount else { throw invalid }
        while let dash = words.firstIndex(of: Bytes("-")) {
            guard dash > 0, dash + 1 < words.count else { throw invalid }
            words.replaceSubrange((dash - 1)...(dash + 1), with: [Bytes(">=") + words[dash - 1], Bytes("<=") + words[dash + 1]])
        }
        var result: [Comparison] = []
        var pending: Bytes = []
        for word in words {
            let whole = pending + word
            if whole.allSatisfy(isSign) {
                pending = whole
                continue
            }
            pending = []
            let sign = Array(whole.prefix(while: isSign)).string
            guard ["", "=", "==", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^"].contains(sign),
                let version = SemanticVersion(parsing: Array(whole.drop(while: isSign)), allowsWildcards: true)
            else { throw invalid }
            result.append(Comparison(sign: sign, version: version))
        }
        guard !result.isEmpty, pending.isEmpty else { throw invalid }
        return result
    }

    func allows(_ version: SemanticVersion) -> Bool {
        alternatives.contains { $0.allSatisfy { Self.holds($0, for: version) } }
    }

    private static func holds(_ comparison: Comparison, for version: SemanticVersion) -> Bool {
        let bound = comparison.version
        // A prerelease is meant only by who names one.
        if !version.prerelease.isEmpty, bound.prerelease.isEmpty, comparison.sign != "!=" { return false }
        let samePrefix = { (count: Int) in version.numbers.prefix(count).elementsEqual(bound.numbers.prefix(count)) }
        let isPartial = bound.precision < 3
        switch comparison.sign {
        case "", "=", "==": return isPartial ? samePrefix(bound.precision) : version.equals(bound)
        case "!=": return isPartial ? !samePrefix(bound.precision) : !version.equals(bound)
        case ">": return isPartial ? bound.precedes(version) && !samePrefix(bound.precision) : bound.precedes(version)
        case "<": return version.precedes(bound)
        case ">=", "=>": return !version.precedes(bound)
        case "<=", "=<": return isPartial ? version.precedes(bound) || samePrefix(bound.precision) : !bound.precedes(version)
        case "~", "~>": return !version.precedes(bound) && samePrefix(min(2, bound.precision))
        case "^":
            if version.precedes(bound) { return false }
            // The first number that is not zero may not change; of zeros the last that was written.
            let fixed = bound.numbers.prefix(bound.precision).firstIndex { $0 > 0 }.map { $0 + 1 } ?? bound.precision
            return samePrefix(fixed)
        default: return false
        }
    }
}

extension SemanticVersion {
    fileprivate func equals(_ other: SemanticVersion) -> Bool { !precedes(other) && !other.precedes(self) }
}
