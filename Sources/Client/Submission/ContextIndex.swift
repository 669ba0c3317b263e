import Digests

/// Where the digests of a context's files are remembered between submissions, so that an unchanged file costs one stat.
enum ContextIndex {
    /// A file in the user's cache; nil where there is no such place: the submission is only slower then.
    static func path(for context: String, environment: [String: String]) -> [UInt8]? {
        UserCache.folder("contexts", environment: environment).map { Array("\($0)/\(Digest.of(context).hex.prefix(32))".utf8) }
    }
}
