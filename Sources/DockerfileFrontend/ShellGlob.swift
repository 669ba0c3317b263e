/// The patterns of `${x#p}` and `${x/p/r}`: `*`, `?`, and a backslash before what is meant literally.
struct ShellGlob {
    /// Matching took too many steps or made too much text: the pattern is hostile.
    struct TooLong: Error {}

    private enum Token: Equatable {
        case scalar(Unicode.Scalar)
        case any
        case star
    }
    private let tokens: [Token]
    /// Bounds the time of one substitution to some tens of milliseconds.
    private static let maximumSteps = 4_000_000

    init(_ pattern: [UInt8]) {
        var tokens: [Token] = []
        var escaped = false
        for scalar in pattern.text.unicodeScalars {
            switch scalar {
            case _ where escaped:
                tokens.append(.scalar(scalar))
                escaped = false
            case "\\": escaped = true
            case "*": if tokens.last != .star { tokens.append(.star) }
            case "?": tokens.append(.any)
            default: tokens.append(.scalar(scalar))
            }
        }
        if escaped { tokens.append(.scalar("\\")) }
        self.tokens = tokens
    }

    private init(tokens: [Token]) { self.tokens = tokens }

    func droppingPrefix(of text: [Unicode.Scalar], longest: Bool) throws(TooLong) -> [Unicode.Scalar] {
        var steps = 0
        guard let length = try matchLength(in: text[...], longest: longest, steps: &steps) else { return text }
        return Array(text.dropFirst(length))
    }

    func droppingSuffix(of text: [Unicode.Scalar], longest: Bool) throws(TooLong) -> [Unicode.Scalar] {
        let reversed = ShellGlob(tokens: tokens.reversed())
        return try reversed.droppingPrefix(of: text.reversed(), longest: longest).reversed()
    }

    /// The first match, or all that don't overlap, each as long as it can be.
    func replacing(in text: [Unicode.Scalar], with replacement: [Unicode.Scalar], all: Bool) throws(TooLong) -> [Unicode.Scalar] {
        guard !tokens.isEmpty else { return text }
        var result: [Unicode.Scalar] = []
        var steps = 0
        var position = 0
        var done = false
        while position < text.count {
            guard result.count <= Expansion.maximumBytes else { throw TooLong() }
            if !done, let length = try matchLength(in: text[position...], longest: true, steps: &steps), length > 0 {
                result += replacement
                position += length
                done = !all
            } else {
                result.append(text[position])
                position += 1
            }
        }
        return result
    }

    // Follows all ways through the pattern at once, so that no pattern takes more than text × pattern steps.
    private func matchLength(in text: ArraySlice<Unicode.Scalar>, longest: Bool, steps: inout Int) throws(TooLong) -> Int? {
        var states = closure([0])
        var found: Int?
        var length = 0
        while true {
            if states.contains(tokens.count) {
                found = length
                if !longest { return found }
            }
            guard length < text.count, !states.isEmpty else { return found }
            let scalar = text[text.startIndex + length]
            var following: [Int] = []
            for state in states where state < tokens.count {
                switch tokens[state] {
                case .star: following.append(state)
                case .any: following.append(state + 1)
                case .scalar(let wanted): if wanted == scalar { following.append(state + 1) }
                }
            }
            steps += states.count + 1
            guard steps <= Self.maximumSteps else { throw TooLong() }
            states = closure(following)
            length += 1
        }
    }

    // A star may also match nothing. States come ascending and no star follows a star, so the last one is all to compare with.
    private func closure(_ states: [Int]) -> [Int] {
        var result: [Int] = []
        for state in states where state > result.last ?? -1 {
            result.append(state)
            if state < tokens.count, tokens[state] == .star { result.append(state + 1) }
        }
        return result
    }
}
