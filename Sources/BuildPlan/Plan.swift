import Digests

/// What a frontend made of a Dockerfile or a werf.yaml: stages that refer to each other by index.
public struct Plan: Hashable, Sendable, Codable {
    /// Every stage that the target needs; a stage stands after all that it refers to.
    public var stages: [Stage]
    /// The index of the stage that becomes the image; of several images the last one's.
    public var target: Int
    /// The images by the names that the file gives them, in its order, where the file makes several; empty: the target alone, without a name.
    public var images: [PlannedImage] = []
    /// Of the image.
    public var platform: Platform
    /// What the user should know though nothing is wrong: deprecated syntax, an unused build argument.
    public var warnings: [String]

    /// A plan of stages in their order.
    public init(stages: [Stage], target: Int, images: [PlannedImage] = [], platform: Platform, warnings: [String] = []) {
        self.stages = stages
        self.target = target
        self.images = images
        self.platform = platform
        self.warnings = warnings
    }

    /// The stages that somebody asked for: those of all images.
    public var targets: [Int] { images.isEmpty ? [target] : images.map(\.stage) }
}

/// An image that a plan makes.
public struct PlannedImage: Hashable, Sendable, Codable {
    /// As the file calls it; empty for werf.yaml's `image: ~`.
    public var name: String
    /// The index of its last stage.
    public var stage: Int

    /// An image of its name and stage.
    public init(name: String, stage: Int) {
        self.name = name
        self.stage = stage
    }
}

/// A base and a chain of steps: what one agent runs as a whole.
public struct Stage: Hashable, Sendable, Codable {
    /// The name after AS, else `stage-N` with N the number of its FROM in the file.
    public var name: String
    /// What the first step runs on.
    public var base: StageBase
    /// In the order in which they run.
    public var steps: [Step]
    /// The image configuration after the last instruction.
    public var config: ImageConfig
    /// One entry an instruction, after those of the base; entries with a layer are in the order of `steps`.
    public var history: [HistoryEntry]
    /// Environment variables of `config` that name the results of other stages.
    public var references: [StageReference] = []

    /// A stage of its parts.
    public init(name: String, base: StageBase, steps: [Step], config: ImageConfig, history: [HistoryEntry]) {
        self.name = name
        self.base = base
        self.steps = steps
        self.config = config
        self.history = history
    }

    /// The indexes of the stages that must have ended before this one can start, each once, ascending.
    public var dependencies: [Int] {
        var found = Set<Int>()
        if case .stage(let index) = base { found.insert(index) }
        for step in steps {
            for source in step.operation.sources { if case .stage(let index) = source { found.insert(index) } }
            if case .run(let run) = step.operation { found.formUnion(run.references.map(\.stage)) }
        }
        found.formUnion(references.map(\.stage))
        return found.sorted()
    }
}

/// An environment variable the value of which is known when another stage has ended: werf's `dependencies`.
public struct StageReference: Hashable, Sendable, Codable {
    /// What of the other stage's image the variable holds.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// The digest of the image's manifest.
        case imageDigest
        /// The digest of the image's configuration.
        case imageID
    }

    /// The variable's name.
    public var variable: String
    /// An index into the plan's stages.
    public var stage: Int
    public var kind: Kind

    /// A reference of its parts.
    public init(variable: String, stage: Int, kind: Kind) {
        self.variable = variable
        self.stage = stage
        self.kind = kind
    }
}

/// What a stage stands on.
public enum StageBase: Hashable, Sendable, Codable {
    case scratch
    /// An image by the name that the file gives, with variables expanded.
    case image(String)
    case stage(Int)
}

/// One instruction that changes the file system: the unit of caching.
public struct Step: Hashable, Sendable, Codable {
    /// What progress shows: `[builder 2/5] RUN make`.
    public var name: String
    /// What it does; this alone enters the step's key.
    public var operation: Operation
    /// Lines of the source file, from 1.
    public var lines: ClosedRange<Int>

    /// A step of its parts.
    public init(name: String, operation: Operation, lines: ClosedRange<Int>) {
        self.name = name
        self.operation = operation
        self.lines = lines
    }
}

/// What a step does.
public enum Operation: Hashable, Sendable, Codable {
    case run(RunOperation)
    case copy(CopyOperation)
    /// WORKDIR: the absolute path is made with its parents where it is not there.
    case makeDirectory(path: String)
    /// werf's gitArchive and gitLatestPatch: files of the repository, which is the context.
    case git(GitOperation)
    /// werf's `from` with mounts: each absolute path is an empty directory afterwards, made with its parents where it is not there. A file
    /// stays as it is: a file of the machine may be mounted over it.
    case emptyDirectories(paths: [String])

    /// Every tree that is read and enters the key, in a fixed order: that of the input digests of ``Step/key(parent:platform:inputs:)``.
    public var inputs: [TreeSelection] {
        switch self {
        case .run(let run): run.mounts.compactMap(\.input) + run.dependencies
        case .copy(let copy):
            copy.sources.compactMap { source in
                if case .tree(let path) = source {
                    TreeSelection(
                        source: copy.from, path: path, wildcards: copy.filter == nil, excludes: copy.excludes, filter: copy.filter)
                } else {
                    nil
                }
            }
        case .git(let git): git.kind == .archive ? [] : git.mappings.map(\.selection)
        case .makeDirectory, .emptyDirectories: []
        }
    }

    /// Every tree that is read, also those that don't enter the key.
    public var reads: [TreeSelection] {
        switch self {
        case .run(let run): inputs + run.git.map(\.selection)
        case .git(let git): git.mappings.map(\.selection)
        case .copy, .makeDirectory, .emptyDirectories: inputs
        }
    }

    /// The trees that are read.
    public var sources: [TreeSource] { reads.map(\.source) }

    /// True for werf's gitLatestPatch.
    public var isPatch: Bool { if case .git(let git) = self { git.kind == .patch } else { false } }

    /// What of the repository is in the image after the step; nil for a step that leaves it as it was.
    public var gitMappings: [GitMapping]? {
        switch self {
        case .git(let git): git.mappings
        case .run(let run): run.git.isEmpty ? nil : run.git
        case .copy, .makeDirectory, .emptyDirectories: nil
        }
    }
}

/// A tree that steps read.
public enum TreeSource: Hashable, Sendable, Codable {
    /// What the user submitted.
    case context
    /// The result of another stage of the plan.
    case stage(Int)
    /// An image by name.
    case image(String)
}

/// A part of a tree, the content of which enters a step's key.
public struct TreeSelection: Hashable, Sendable, Codable {
    /// The tree.
    public var source: TreeSource
    /// Relative to the tree's root, without a leading slash; empty for the whole.
    public var path: String
    /// True where `*`, `?` and `[…]` match as in COPY.
    public var wildcards: Bool
    /// Patterns of `--exclude`: what they leave out is not read.
    public var excludes: [String]
    /// werf's include and exclude paths; nil for everything. A selection with a filter may be empty, and its path need not be there.
    public var filter: PathFilter?

    /// A part of a tree.
    public init(source: TreeSource, path: String, wildcards: Bool, excludes: [String] = [], filter: PathFilter? = nil) {
        self.source = source
        self.path = path
        self.wildcards = wildcards
        self.excludes = excludes
        self.filter = filter
    }

    /// Reads one that was stored; without `excludes` it has none.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        source = try container.decode(TreeSource.self, forKey: .source)
        path = try container.decode(String.self, forKey: .path)
        wildcards = try container.decode(Bool.self, forKey: .wildcards)
        excludes = try container.decodeIfPresent([String].self, forKey: .excludes) ?? []
        filter = try container.decodeIfPresent(PathFilter.self, forKey: .filter)
    }

    /// Under what the digest of this part of a stack of layers is remembered, together with its path: what is left out makes it another.
    public func place(in layers: some Sequence<LayerDescriptor>) -> Digest {
        let chain = Chain.id(of: layers)
        if excludes.isEmpty, filter == nil { return chain }
        var encoder = KeyEncoder(version: "farm-excludes-1")
        encoder.append(chain)
        encoder.append(excludes)
        filter?.append(to: &encoder)
        return encoder.finish()
    }
}

/// RUN.
public struct RunOperation: Hashable, Sendable, Codable {
    /// The arguments as the kernel gets them; a shell form has its shell in front.
    public var arguments: [String]
    /// `NAME=value`: the stage's ENV and the ARGs in force, in order.
    public var environment: [String]
    /// Names in `environment` that don't enter the step's key: proxies given with the build, not by the file.
    public var unkeyedNames: [String] = []
    /// An absolute path.
    public var workingDirectory: String
    /// `user[:group]`, or nil for root.
    public var user: String?
    /// What network the command has.
    public var network: NetworkMode
    /// In the order in which they are mounted: parents first, one a target.
    public var mounts: [Mount]
    /// Scripts of heredocs that begin with `#!`: files that are there during the step only.
    public var files: [InlineFile]
    /// `name:address`: lines for /etc/hosts.
    public var extraHosts: [String] = []
    /// Bytes of /dev/shm; nil for 64 MiB.
    public var shmSize: UInt64?
    /// werf's stageDependencies: the command runs anew when what they select changes.
    public var dependencies: [TreeSelection] = []
    /// Changed by the user to have the command run anew: werf's cacheVersion.
    public var cacheVersion: String?
    /// The repository's files in the image are brought up to date before the command runs. They don't enter the key.
    public var git: [GitMapping] = []
    /// Variables of `environment` whose values are known when other stages have ended; they are put there before the key is computed.
    public var references: [StageReference] = []

    /// A command; everything but its arguments, environment and directory has a default.
    public init(
        arguments: [String], environment: [String], workingDirectory: String, user: String? = nil, network: NetworkMode = .host,
        mounts: [Mount] = [], files: [InlineFile] = []
    ) {
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.user = user
        self.network = network
        self.mounts = mounts
        self.files = files
    }
}

/// What network a step has.
public enum NetworkMode: String, Hashable, Sendable, Codable, CaseIterable {
    /// The agent's.
    case host
    /// A loopback interface alone.
    case none
}

/// A file whose content stands in the Dockerfile.
public struct InlineFile: Hashable, Sendable, Codable {
    /// For COPY the name in the destination; for RUN the absolute path in the container.
    public var path: String
    /// As it is written, line ends too.
    public var content: String

    /// A file of its name and content.
    public init(path: String, content: String) {
        self.path = path
        self.content = content
    }
}

/// COPY and ADD.
public struct CopyOperation: Hashable, Sendable, Codable {
    /// In the order of the instruction.
    public var sources: [CopySource]
    /// The tree of `.tree` sources.
    public var from: TreeSource
    /// Absolute; ends in `/` where the instruction's did, or where several sources make it a directory.
    public var destination: String
    /// `user[:group]` of `--chown`; nil keeps 0:0 for the context and the owners of a stage or image. `user:` and `:group` say one and keep
    /// the other.
    public var owner: String?
    /// `--chmod` in octal; nil keeps the source's.
    public var mode: UInt16?
    /// True for ADD: local archives are unpacked.
    public var unpacksArchives: Bool
    /// `--exclude` patterns, relative to each source.
    public var excludes: [String]
    /// werf's include and exclude paths, relative to the one source, which is no pattern then.
    public var filter: PathFilter?

    /// A copy that keeps modes, and unpacks and leaves out nothing, unless told.
    public init(
        sources: [CopySource], from: TreeSource, destination: String, owner: String? = nil, mode: UInt16? = nil,
        unpacksArchives: Bool = false, excludes: [String] = []
    ) {
        self.sources = sources
        self.from = from
        self.destination = destination
        self.owner = owner
        self.mode = mode
        self.unpacksArchives = unpacksArchives
        self.excludes = excludes
    }
}

/// One source of COPY or ADD.
public enum CopySource: Hashable, Sendable, Codable {
    /// A path or pattern relative to the root of the tree.
    case tree(String)
    /// A heredoc.
    case inline(InlineFile)
}

// Plans are stored with open builds, maybe by a program that did not know all of this yet.
extension Plan {
    /// Reads one that was stored; what it lacks has its default.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        stages = try container.decode([Stage].self, forKey: .stages)
        target = try container.decode(Int.self, forKey: .target)
        images = try container.decodeIfPresent([PlannedImage].self, forKey: .images) ?? []
        platform = try container.decode(Platform.self, forKey: .platform)
        warnings = try container.decode([String].self, forKey: .warnings)
    }
}

extension Stage {
    /// Reads one that was stored; what it lacks has its default.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        base = try container.decode(StageBase.self, forKey: .base)
        steps = try container.decode([Step].self, forKey: .steps)
        config = try container.decode(ImageConfig.self, forKey: .config)
        history = try container.decode([HistoryEntry].self, forKey: .history)
        references = try container.decodeIfPresent([StageReference].self, forKey: .references) ?? []
    }
}

extension RunOperation {
    /// Reads one that was stored; what it lacks has its default.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        arguments = try container.decode([String].self, forKey: .arguments)
        environment = try container.decode([String].self, forKey: .environment)
        unkeyedNames = try container.decodeIfPresent([String].self, forKey: .unkeyedNames) ?? []
        workingDirectory = try container.decode(String.self, forKey: .workingDirectory)
        user = try container.decodeIfPresent(String.self, forKey: .user)
        network = try container.decode(NetworkMode.self, forKey: .network)
        mounts = try container.decode([Mount].self, forKey: .mounts)
        files = try container.decode([InlineFile].self, forKey: .files)
        extraHosts = try container.decodeIfPresent([String].self, forKey: .extraHosts) ?? []
        shmSize = try container.decodeIfPresent(UInt64.self, forKey: .shmSize)
        dependencies = try container.decodeIfPresent([TreeSelection].self, forKey: .dependencies) ?? []
        cacheVersion = try container.decodeIfPresent(String.self, forKey: .cacheVersion)
        git = try container.decodeIfPresent([GitMapping].self, forKey: .git) ?? []
        references = try container.decodeIfPresent([StageReference].self, forKey: .references) ?? []
    }
}
