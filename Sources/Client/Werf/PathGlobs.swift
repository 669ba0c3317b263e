import BuildPlan

/// Globs over the paths of a project: a path is meant when a glob matches it or a folder above it. `**` crosses folders.
struct PathGlobs: Sendable {
    private let patterns: IgnorePatterns?

    /// No path.
    init() { patterns = nil }

    init(_ globs: [String]) throws(IgnoreFileError) {
        // A glob that begins with `!` would take paths away, and there is no such thing here: the mark is escaped.
        patterns = globs.isEmpty ? nil : try IgnorePatterns(patterns: globs.map { $0.hasPrefix("!") ? "\\" + $0 : $0 })
    }

    func contains(_ path: String) -> Bool { patterns.map { $0.decision(path: path, isDirectory: false) != .include } ?? false }
}
