/// What requests may cost: bodies and counts beyond these are refused.
enum Limits {
    /// A path; file names are 255 bytes at the most and no route has more than a few of them.
    static let path = 4096
    /// A JSON body without a limit of its own.
    static let json = 1 << 20
    /// A submission: the Dockerfile's text and the options.
    static let submission = 8 << 20
    /// An agent's hello: 100,000 layers of 120 bytes each.
    static let hello = 32 << 20
    /// A batch of reports; agents split theirs well below.
    static let reports = 32 << 20
    /// Digests in one request: the contents of a million files.
    static let digests = 1_000_000
    /// One directory's object: 100,000 entries with names of usual length.
    static let treeObject = 32 << 20
    /// All objects of one upload; a client with more sends several.
    static let trees: Int64 = 1 << 30
    /// File contents of one upload: any context that people mean; the disk's reserve is what protects the farm.
    static let contents: Int64 = 1 << 40
    /// Builds in one list.
    static let builds = 1000
    static let defaultBuilds = 100
    /// A name of a project, volume, image or agent.
    static let name = 512
    /// Tags of one export.
    static let tags = 64
}
