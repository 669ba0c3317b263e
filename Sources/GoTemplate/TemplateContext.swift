/// Everything that a template may ask of the world. A template's result depends on its text and on this alone.
///
/// What a closure throws becomes the template's error at the place of the call; its description is what the user reads.
public struct TemplateContext: Sendable {
    /// The commit that is built.
    public struct Commit: Sendable, Hashable {
        /// `.Commit.Hash`: the hexadecimal object name.
        public var hash: String
        /// `.Commit.Date.Unix`: seconds since 1970; `.Commit.Date.Human` is made of it, in UTC.
        public var unixTime: Int64

        public init(hash: String, unixTime: Int64) {
            self.hash = hash
            self.unixTime = unixTime
        }
    }

    /// A moment, for `now` and what is reckoned from it.
    public struct Moment: Sendable, Hashable {
        /// Seconds since 1970.
        public var unixTime: Int64
        /// 0 to 999,999,999.
        public var nanoseconds: Int

        public init(unixTime: Int64, nanoseconds: Int = 0) {
            self.unixTime = unixTime
            self.nanoseconds = nanoseconds
        }
    }

    /// `.Env`: the name of the environment that the build is for; empty without one.
    public var environmentName: String
    /// `.Commit`; nil outside of a repository: then it has no value.
    public var commit: Commit?
    /// `.Branch` and `.Tag`; nil has no value.
    public var branch: String?
    public var tag: String?
    /// Whether `env "X"` without a fallback is empty where X is not set, instead of an error.
    public var isLoose: Bool
    /// `env`: the variable's value, nil where it is not set. May throw where the name is not allowed.
    public var variable: @Sendable (_ name: String) throws -> String?
    /// The paths of all files that `.Files` shows, relative to the project, with `/`. Asked for once a rendering.
    public var paths: @Sendable () throws -> [String]
    /// `.Files.Get`: a file's contents, by one of ``paths``.
    public var contents: @Sendable (_ path: String) throws -> [UInt8]
    /// `now`; nil refuses it, since a build would never be the same again.
    public var now: (@Sendable () -> Moment)?

    /// Without arguments: no variables, no files, no commit, no clock.
    public init(
        environmentName: String = "", commit: Commit? = nil, branch: String? = nil, tag: String? = nil, isLoose: Bool = false,
        variable: @escaping @Sendable (_ name: String) throws -> String? = { _ in nil },
        paths: @escaping @Sendable () throws -> [String] = { [] },
        contents: @escaping @Sendable (_ path: String) throws -> [UInt8] = { _ in [] },
        now: (@Sendable () -> Moment)? = nil
    ) {
        self.environmentName = environmentName
        self.commit = commit
        self.branch = branch
        self.tag = tag
        self.isLoose = isLoose
        self.variable = variable
        self.paths = paths
        self.contents = contents
        self.now = now
    }
}
