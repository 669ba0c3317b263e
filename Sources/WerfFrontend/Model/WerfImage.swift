import BuildPlan

/// An image of a werf.yaml. An entry with a list of names is as many images.
public struct WerfImage: Hashable, Sendable {
    /// As the file calls it; empty for `image: ~`.
    public let name: String
    /// The line of the entry, in the rendered file.
    public let line: Int
    /// False for `final: false`: it is built where another image needs it, and not exported.
    public let isFinal: Bool
    /// How it is built.
    let body: Body

    enum Body: Hashable, Sendable {
        case stapel(StapelImage)
        case dockerfile(DockerfileImage)

        /// The same for an image of this name: each has secrets of its own.
        func named(_ name: String) -> Body {
            switch self {
            case .stapel(var image):
                image.secrets = image.secrets.map { $0.of(name) }
                return .stapel(image)
            case .dockerfile(var image):
                image.secrets = image.secrets.map { $0.of(name) }
                return .dockerfile(image)
            }
        }
    }

    /// For messages.
    public var shownName: String { name.isEmpty ? "~" : name }
}

/// An image that is built stage by stage.
struct StapelImage: Hashable, Sendable {
    var base: ImageName
    var fromLatest: Bool
    var fromCacheVersion: String?
    var cacheVersion: String?
    var platforms: [String]
    var network: NetworkMode?
    var keepsGitAsBuilt: Bool
    var git: [GitDirective]
    var shell: ShellDirective?
    var mounts: [MountDirective]
    var imports: [ImportDirective]
    var dependencies: [DependencyDirective]
    var secrets: [WerfSecret]
    var docker: DockerDirective?
    var imageSpec: ImageSpecDirective?
}

/// An image that a Dockerfile of the repository builds.
struct DockerfileImage: Hashable, Sendable {
    /// Relative to the repository's root; empty for the root itself.
    var context: String
    /// Relative to the repository's root.
    var dockerfile: String
    var dockerfileLine: Int
    var target: String?
    var arguments: [String: String]
    var extraHosts: [String]
    var cacheVersion: String?
    var platforms: [String]
    var network: NetworkMode?
    var dependencies: [DependencyDirective]
    var secrets: [WerfSecret]
    var imageSpec: ImageSpecDirective?
}

/// What `from` names.
struct ImageName: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case scratch
        case external
        /// An image of the file.
        case own
    }
    var name: String
    var kind: Kind
    var line: Int
}

/// `git`, of the local repository.
struct GitDirective: Hashable, Sendable {
    /// Relative to the root.
    var path: String
    var destination: String
    var owner: String?
    var includes: [String]
    var excludes: [String]
    /// Globs by stage.
    var dependencies: [WerfStage: [String]]
    var line: Int
}

/// `shell`.
struct ShellDirective: Hashable, Sendable {
    var commands: [WerfStage: [String]]
    var cacheVersion: String?
    var cacheVersions: [WerfStage: String]
    var lines: [WerfStage: Int]
}

/// `mount`.
struct MountDirective: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case temporary
        case build
        /// Absolute and clean.
        case host(String)
    }
    /// Absolute and clean.
    var target: String
    var kind: Kind
    var line: Int
}

/// `import`.
struct ImportDirective: Hashable, Sendable {
    var from: ImageName
    var stage: WerfStage?
    /// Absolute and clean.
    var add: String
    /// Absolute; a slash at the end stays.
    var destination: String
    /// Where it happens: one of the four `dependencies…` stages.
    var place: WerfStage
    var owner: String?
    var includes: [String]
    var excludes: [String]
    var line: Int
}

/// `dependencies`.
struct DependencyDirective: Hashable, Sendable {
    enum Kind: Hashable, Sendable { case imageDigest, imageID, imageName }
    struct Value: Hashable, Sendable {
        var kind: Kind
        /// A variable's name, or a build argument's.
        var target: String
    }
    var image: String
    /// One of the four `dependencies…` stages; nil for a Dockerfile.
    var place: WerfStage?
    var values: [Value]
    var line: Int
}
