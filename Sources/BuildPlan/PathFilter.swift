/// werf's includePaths and excludePaths: globs relative to a tree or a part of it.
///
/// A file is selected when an include matches it or a directory above it, or there is no include, and no exclude matches it or a directory
/// above it. `*` and `?` stay within one name; `**` is any number of names. Of a part that is a single file the file's name is the path.
public struct PathFilter: Hashable, Sendable, Codable {
    /// Empty: everything.
    public var includes: [String]
    public var excludes: [String]
    /// A second condition, in the same terms; nil for none. A mapping's files that are also a stage's dependencies.
    public var dependencies: [String]?

    /// A filter of its globs.
    public init(includes: [String] = [], excludes: [String] = [], dependencies: [String]? = nil) {
        self.includes = includes
        self.excludes = excludes
        self.dependencies = dependencies
    }

    func append(to encoder: inout KeyEncoder) {
        encoder.append("filter")
        encoder.append(includes)
        encoder.append(excludes)
        encoder.append(dependencies == nil ? "all" : "some")
        encoder.append(dependencies ?? [])
    }
}
