/// Which paths below a directory a selection takes: `--exclude` patterns and a ``PathFilter``, compiled.
public struct PathRules: Hashable, Sendable {
    private let excludes: IgnorePatterns
    private let filter: CompiledFilter?

    /// Everything.
    public init() { self.init(excludes: IgnorePatterns()) }

    /// The rules of a .dockerignore or of `--exclude` alone.
    public init(excludes: IgnorePatterns) {
        self.excludes = excludes
        filter = nil
    }

    /// Throws ``IgnoreFileError`` or ``PathPatternError`` for a pattern that can't be read.
    public init(excludes: [String], filter: PathFilter? = nil) throws {
        self.excludes = try IgnorePatterns(patterns: excludes)
        self.filter = try filter.map { try CompiledFilter($0) }
    }

    /// True if nothing is left out.
    public var isEmpty: Bool { excludes.isEmpty && (filter?.isEmpty ?? true) }

    /// What becomes of a path, relative to the directory, without a slash in front or at the end. The directory itself is always included.
    public func decision(path: [UInt8], isDirectory: Bool) -> IgnorePatterns.Decision {
        let first = excludes.isEmpty ? .include : excludes.decision(path: path, isDirectory: isDirectory)
        guard let filter, first != .exclude else { return first }
        let second = filter.decision(path: path, isDirectory: isDirectory)
        return second == .include ? first : second
    }
}

extension TreeSelection {
    /// What of the selected directories is taken.
    public var rules: PathRules { get throws { try PathRules(excludes: excludes, filter: filter) } }
}

/// A ``PathFilter`` that can be asked.
private struct CompiledFilter: Hashable, Sendable {
    private let includes: [PathPattern]
    private let excludes: [PathPattern]
    private let dependencies: [PathPattern]?

    init(_ filter: PathFilter) throws(PathPatternError) {
        includes = try Self.patterns(filter.includes)
        excludes = try Self.patterns(filter.excludes)
        if let dependencies = filter.dependencies { self.dependencies = try Self.patterns(dependencies) } else { dependencies = nil }
    }

    var isEmpty: Bool { includes.isEmpty && excludes.isEmpty && dependencies == nil }

    func decision(path: [UInt8], isDirectory: Bool) -> IgnorePatterns.Decision {
        if path.isEmpty { return .include }
        if excludes.contains(where: { $0.matchesPathOrParent(path) }) { return .exclude }
        let first = includes.isEmpty ? .include : Self.decision(includes, path, isDirectory)
        guard let dependencies, first != .exclude else { return first }
        let second = Self.decision(dependencies, path, isDirectory)
        return second == .include ? first : second
    }

    private static func decision(_ patterns: [PathPattern], _ path: [UInt8], _ isDirectory: Bool) -> IgnorePatterns.Decision {
        if patterns.contains(where: { $0.text.isEmpty || $0.matchesPathOrParent(path) }) { return .include }
        return isDirectory && patterns.contains { $0.mayMatchBelow(path) } ? .excludeButDescend : .exclude
    }

    // `./a/` and `/a` are `a`; an empty one means the directory itself and so everything in it.
    private static func patterns(_ globs: [String]) throws(PathPatternError) -> [PathPattern] {
        var patterns: [PathPattern] = []
        for glob in globs { patterns.append(try PathPattern(CleanPath.relativeToRoot(glob), syntax: .ignore)) }
        return patterns
    }
}
