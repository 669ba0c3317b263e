import BuildPlan

/// A source of COPY or of a mount, split where its wildcards begin: up to there symbolic links are followed, beyond it they are not.
struct SourcePattern {
    /// Components without wildcards, from the root on.
    let directory: [[UInt8]]
    /// One pattern a component; empty where there are no wildcards.
    let patterns: [PathPattern]
    /// As it was given.
    let text: String

    init(_ path: String, wildcards: Bool) throws {
        text = path
        var directory: [[UInt8]] = []
        var patterns: [PathPattern] = []
        for component in CleanPath.relativeToRoot(path).split(separator: "/") {
            guard wildcards else {
                directory.append(Array(component.utf8))
                continue
            }
            let pattern = try PathPattern(String(component), syntax: .copy)
            if patterns.isEmpty, let literal = pattern.literal { directory.append(literal) } else { patterns.append(pattern) }
        }
        self.directory = directory
        self.patterns = patterns
    }
}
