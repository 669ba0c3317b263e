/// A compiled expression of RE2's language, which finds the leftmost match as Go's regexp does.
///
/// All ways through the expression are followed at once (Thompson's and Pike's machine): the time is at most the length of the text
/// times that of the program, whatever the expression.
final class RegularExpression {
    private enum Instruction {
        case set(ScalarSet)
        case assertion(RegexAssertion)
        /// The first way is preferred.
        case split(Int, Int)
        case jump(Int)
        case save(Int)
        case match
    }
    private var program: [Instruction] = []
    let names: [String: Int]
    let groupCount: Int

    init(_ pattern: Bytes, _ machine: Machine) throws {
        try machine.allocate(pattern.count)
        try machine.spend(1 + pattern.count / 4)
        var parser = RegexParser(pattern.scalars)
        let node = try parser.parse()
        names = parser.names
        groupCount = parser.groupCount
        guard groupCount <= Limits.regexGroups else { throw Complaint("error parsing regexp: more than \(Limits.regexGroups) groups") }
        try emit(.group(node, number: 0))
        try append(.match)
        try machine.spend(program.count / 4)
    }

    // MARK: Compilation

    private func append(_ instruction: Instruction) throws {
        guard program.count < Limits.regexInstructions else { throw Complaint("error parsing regexp: expression too large") }
        program.append(instruction)
    }

    private func emit(_ node: RegexNode) throws {
        switch node {
        case .empty: break
        case .set(let set): try append(.set(set))
        case .assertion(let assertion): try append(.assertion(assertion))
        case .group(let inner, let number):
            try append(.save(2 * number))
            try emit(inner)
            try append(.save(2 * number + 1))
        case .sequence(let nodes): for node in nodes { try emit(node) }
        case .alternatives(let ways):
            var ends: [Int] = []
            for way in ways.dropLast() {
                let split = program.count
                try append(.split(split + 1, 0))
                try emit(way)
                ends.append(program.count)
                try append(.jump(0))
                program[split] = .split(split + 1, program.count)
            }
            if let last = ways.last { try emit(last) }
            for end in ends { program[end] = .jump(program.count) }
        case .repeated(let inner, let minimum, let maximum, let isLazy):
            for _ in 0..<minimum {
                let before = program.count
                try emit(inner)
                // What is empty once is empty a thousand times, and a thousand times a thousand.
                if program.count == before { return }
            }
            if let maximum {
                var splits: [Int] = []
                for _ in minimum..<maximum {
                    splits.append(program.count)
                    try append(.split(0, 0))
                    try emit(inner)
                    if program.count == splits[splits.count - 1] + 1 { break }
                }
                for split in splits { program[split] = choice(split + 1, program.count, isLazy) }
            } else {
                let split = program.count
                try append(.split(0, 0))
                try emit(inner)
                try append(.jump(split))
                program[split] = choice(split + 1, program.count, isLazy)
            }
        }
    }

    private func choice(_ body: Int, _ end: Int, _ isLazy: Bool) -> Instruction { isLazy ? .split(end, body) : .split(body, end) }

    // MARK: Matching

    private struct Thread {
        let instruction: Int
        let captures: [Int]
    }

    /// The leftmost match at or after a position: start and end of the whole and of each group, -1 for a group that took no part.
    func firstMatch(in text: [Unicode.Scalar], from start: Int, _ machine: Machine) throws -> [Int]? {
        var visited = [Int](repeating: -1, count: program.count)
        var current: [Thread] = []
        var next: [Thread] = []
        var found: [Int]?
        let none = [Int](repeating: -1, count: 2 * (groupCount + 1))
        var position = start
        var work = program.count / Limits.regexInstructionsPerStep
        while true {
            if found == nil { try add(0, none, &current, text, position, &visited, &work) }
            if current.isEmpty, found != nil { break }
            next.removeAll(keepingCapacity: true)
            following: for thread in current {
                work += 1
                switch program[thread.instruction] {
                case .match:
                    // What comes after a match is of lower preference.
                    found = thread.captures
                    break following
                case .set(let set) where position < text.count && set.contains(text[position]):
                    try add(thread.instruction + 1, thread.captures, &next, text, position + 1, &visited, &work)
                default: break
                }
            }
            try machine.spend(work / Limits.regexInstructionsPerStep)
            work %= Limits.regexInstructionsPerStep
            swap(&current, &next)
            guard position < text.count else { break }
            position += 1
        }
        return found
    }

    /// Follows what takes no character, in the order of preference; an instruction is entered once a position.
    private func add(
        _ instruction: Int, _ captures: [Int], _ threads: inout [Thread], _ text: [Unicode.Scalar], _ position: Int,
        _ visited: inout [Int], _ work: inout Int
    ) throws {
        var pending = [Thread(instruction: instruction, captures: captures)]
        while let thread = pending.popLast() {
            let index = thread.instruction
            guard visited[index] != position else { continue }
            visited[index] = position
            work += 1
            switch program[index] {
            case .jump(let target): pending.append(Thread(instruction: target, captures: thread.captures))
            case .split(let first, let second):
                pending.append(Thread(instruction: second, captures: thread.captures))
                pending.append(Thread(instruction: first, captures: thread.captures))
            case .save(let slot):
                var captures = thread.captures
                captures[slot] = position
                work += captures.count / Limits.regexInstructionsPerStep
                pending.append(Thread(instruction: index + 1, captures: captures))
            case .assertion(let assertion):
                if assertion.holds(text, at: position) {
                    pending.append(Thread(instruction: index + 1, captures: thread.captures))
                }
            case .set, .match: threads.append(thread)
            }
        }
    }

    /// All matches that don't overlap; an empty one next to the match before it does not count.
    func matches(in text: [Unicode.Scalar], limit: Int, _ machine: Machine) throws -> [[Int]] {
        var matches: [[Int]] = []
        var position = 0
        var lastEnd = -1
        while position <= text.count, limit < 0 || matches.count < limit {
            guard let match = try firstMatch(in: text, from: position, machine) else { break }
            let isEmpty = match[1] == position
            if !(isEmpty && match[0] == lastEnd) { matches.append(match) }
            position = isEmpty ? position + 1 : match[1]
            lastEnd = match[1]
            try machine.spend()
        }
        return matches
    }
}
