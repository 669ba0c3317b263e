import BuildPlan

/// The .dockerignore of a context that is a folder of the repository.
///
/// The whole repository is the build's context, so that what a .dockerignore leaves out is left out source by source: its patterns, which are
/// relative to the folder, become patterns relative to each source of COPY.
struct IgnoreRules {
    /// More patterns are refused: a plan has them at each COPY.
    private static let maximumRules = 500
    /// Patterns at all COPYs of a Dockerfile together.
    private static let maximumExcludes = 50_000

    private struct Rule {
        var takesIn: Bool
        var components: [String]
    }

    private let rules: [Rule]
    private let dockerfile: DockerfileImage
    /// The path of the .dockerignore; for messages.
    private let path: String

    init(_ dockerfile: DockerfileImage, files: [String: String], config: WerfConfig) throws(WerfError) {
        self.dockerfile = dockerfile
        let found = dockerfile.ignoreFiles.first { files[$0] != nil }
        path = found ?? ""
        guard let found, let text = files[found] else {
            rules = []
            return
        }
        do throws(IgnoreFileError) {
            _ = try IgnorePatterns(file: text)
        } catch { throw WerfError(file: found, line: error.line, message: error.reason) }
        rules = text.split(whereSeparator: \.isNewline).compactMap { Self.rule(String($0)) }
        guard rules.count <= Self.maximumRules else {
            throw WerfError(file: found, line: nil, message: "it has \(rules.count) patterns: expected at most \(Self.maximumRules)")
        }
    }

    private static func rule(_ line: String) -> Rule? {
        var text = Substring(line).trimmed
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        guard !text.isEmpty, text.utf8.first != UInt8(ascii: "#") else { return nil }
        let takesIn = text.utf8.first == UInt8(ascii: "!")
        if takesIn { text = text.dropFirst().trimmed }
        let path = CleanPath.relativeToRoot(String(text))
        guard !path.isEmpty else { return nil }
        return Rule(takesIn: takesIn, components: path.split(separator: "/").map { String($0) })
    }

    /// The plan with every COPY of the context leaving out what is ignored.
    func applied(to plan: Plan) throws(WerfError) -> Plan {
        guard !rules.isEmpty else { return plan }
        var plan = plan
        var count = 0
        for stage in plan.stages.indices {
            for step in plan.stages[stage].steps.indices {
                let line = plan.stages[stage].steps[step].lines.lowerBound
                switch plan.stages[stage].steps[step].operation {
                case .copy(var copy) where copy.from == .context:
                    copy.excludes += try excludes(of: copy, line: line)
                    count += copy.excludes.count
                    guard count <= Self.maximumExcludes else {
                        throw refusal("more than \(Self.maximumExcludes) patterns at all COPYs", line)
                    }
                    plan.stages[stage].steps[step].operation = .copy(copy)
                case .run(let run) where run.mounts.contains(where: { $0.input?.source == .context }):
                    throw refusal("--mount that reads the context", line)
                default: break
                }
            }
        }
        return plan
    }

    private func refusal(_ what: String, _ line: Int) -> WerfError {
        WerfError(file: dockerfile.dockerfile, line: line, message: "\(what), together with \(path), is not built yet in a werf.yaml")
    }

    private func excludes(of copy: CopyOperation, line: Int) throws(WerfError) -> [String] {
        var result: [String]?
        for source in copy.sources {
            guard case .tree(let path) = source else { continue }
            let excludes = try excludes(below: path, line: line)
            // Patterns belong to all sources of a COPY alike.
            if let result, result != excludes { throw refusal("COPY of several sources that are ignored differently", line) }
            result = excludes
        }
        return result ?? []
    }

    private func excludes(below source: String, line: Int) throws(WerfError) -> [String] {
        var names: [[UInt8]] = []
        var last: PathPattern?
        for component in source.split(separator: "/") {
            guard last == nil, let pattern = try? PathPattern(String(component), syntax: .copy) else {
                throw refusal("COPY with a pattern that is not its last name", line)
            }
            if let name = pattern.literal { names.append(name) } else { last = pattern }
        }
        var result: [String] = []
        for rule in rules {
            for rest in Self.rest(of: rule.components, below: names) {
                if let last, try !counts(rest, for: last, line: line) { continue }
                result.append((rule.takesIn ? "!" : "") + (rest.isEmpty ? "**" : rest.joined(separator: "/")))
            }
        }
        return result
    }

    /// What becomes of a pattern of a directory for the files and directories in it that a COPY's last name selects: false where it means
    /// none of them. One that begins with `**` holds in each of them as it is. Any other is refused: what it means depends on what is there.
    private func counts(_ rest: ArraySlice<String>, for selected: PathPattern, line: Int) throws(WerfError) -> Bool {
        let anyDepth = rest.first == "**"
        guard let name = anyDepth ? rest.dropFirst().first : rest.first, GlobEnds(name).isDisjoint(with: GlobEnds(selected.text)) else {
            throw refusal("COPY \(selected.text)", line)
        }
        return anyDepth
    }

    /// What is left of a pattern in the directory to which some names lead: several, where `**` fits in several ways; none, where it means
    /// nothing there; an empty one, where it means the directory itself or one above it.
    private static func rest(of pattern: [String], below names: [[UInt8]]) -> [ArraySlice<String>] {
        // Positions in the pattern that the names so far may have come to; `**` may be left without taking any.
        var positions: Set<Int> = [0]
        func follow() {
            for position in pattern.indices where positions.contains(position) && pattern[position] == "**" {
                positions.insert(position + 1)
            }
        }
        follow()
        for name in names {
            if positions.contains(pattern.count) { break }
            var next: Set<Int> = []
            for position in positions {
                if pattern[position] == "**" {
                    next.insert(position)
                } else if let component = try? PathPattern(pattern[position], syntax: .ignore), component.matches(name) {
                    next.insert(position + 1)
                }
            }
            positions = next
            follow()
        }
        if positions.contains(pattern.count) { return [[]] }
        // What follows a `**` is what the `**` itself means by taking nothing.
        return positions.filter { $0 == 0 || !positions.contains($0 - 1) || pattern[$0 - 1] != "**" }.sorted().map { pattern[$0...] }
    }
}

/// How the names begin and end that a pattern matches.
private struct GlobEnds {
    let prefix: [UInt8]
    let suffix: [UInt8]
    let isLiteral: Bool

    init(_ pattern: String) {
        let bytes = Array(pattern.utf8)
        let isSpecial = { (byte: UInt8) in [UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "\\")].contains(byte) }
        prefix = Array(bytes.prefix { !isSpecial($0) })
        isLiteral = prefix.count == bytes.count
        // What follows a bracket or a backslash may belong to it.
        let isSet = bytes.contains(UInt8(ascii: "[")) || bytes.contains(UInt8(ascii: "\\"))
        suffix = isSet ? [] : Array(bytes.reversed().prefix { !isSpecial($0) }.reversed())
    }

    /// True if no name can match both; false where that is not certain.
    func isDisjoint(with other: GlobEnds) -> Bool {
        if isLiteral, other.isLiteral { return prefix != other.prefix }
        let short = min(prefix.count, other.prefix.count)
        if prefix.prefix(short) != other.prefix.prefix(short) { return true }
        if isLiteral, prefix.count < other.prefix.count || prefix.count < other.suffix.count { return true }
        if other.isLiteral, other.prefix.count < prefix.count || other.prefix.count < suffix.count { return true }
        let end = min(suffix.count, other.suffix.count)
        return suffix.suffix(end) != other.suffix.suffix(end)
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let first = utf8.firstIndex(where: { !isSpace($0) }), let last = utf8.lastIndex(where: { !isSpace($0) }) else { return "" }
        return self[first...last]
    }
}
