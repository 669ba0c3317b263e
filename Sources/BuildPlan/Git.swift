/// werf's `git` directive: a part of the repository that is in the image. The repository's tree is the context.
public struct GitMapping: Hashable, Sendable, Codable {
    /// `add`, relative to the repository's root, without a leading slash; empty for the whole. A directory, or a file.
    public var path: String
    /// `to`: absolute and clean. Where `path` is a file, the file's own path in the image.
    public var destination: String
    /// `owner:group` of `owner` and `group`, names or numbers; either may be empty; nil for 0:0.
    public var owner: String?
    /// `includePaths` and `excludePaths`.
    public var filter: PathFilter

    /// A mapping of its parts.
    public init(path: String, destination: String, owner: String? = nil, filter: PathFilter = PathFilter()) {
        self.path = path
        self.destination = destination
        self.owner = owner
        self.filter = filter
    }

    /// The files.
    public var selection: TreeSelection { TreeSelection(source: .context, path: path, wildcards: false, filter: filter) }
}

/// Files of the repository that are put into the image, or brought up to date there.
public struct GitOperation: Hashable, Sendable, Codable {
    /// Which of werf's stages it is.
    public enum Kind: String, Hashable, Sendable, Codable {
        /// gitArchive: the files as they are when it first runs. Its key has the mappings and not the files, so a later commit finds its record.
        case archive
        /// gitLatestPatch: what has changed since the layers below were made. Its key has the files.
        case patch
    }
    public var kind: Kind
    /// All of the image.
    public var mappings: [GitMapping]

    /// An operation of its parts.
    public init(kind: Kind, mappings: [GitMapping]) {
        self.kind = kind
        self.mappings = mappings
    }
}
