import BuildPlan

/// Carries out the directives of a Stapel image in the order of its stages: what is left are steps and an image configuration.
struct StapelBuilder {
    /// A stage of the plan: all of the image, or what stands between two places at which it is parted.
    struct Part {
        var stage: Stage
        /// werf's stages with which it ends.
        var ends: [WerfStage]
    }

    let image: StapelImage
    let name: String
    let shownName: String
    let plan: PlanBuilder
    let mappings: [GitMapping]
    /// The mounts of every shell stage.
    let mounts: MountTable
    private(set) var config: ImageConfig
    private(set) var history: [HistoryEntry]
    /// Variables that name results of other images, the base's too.
    private(set) var references: [StageReference] = []

    private var base: StageBase
    private var steps: [Step] = []
    private var finished:
        [(
            base: StageBase?, name: String, steps: [Step], config: ImageConfig, history: [HistoryEntry], references: [StageReference],
            ends: [WerfStage]
        )] = []

    /// As much of a step's text as progress shows.
    private static let shownBytes = 200

    init(_ image: StapelImage, of whole: WerfImage, in plan: PlanBuilder) throws(WerfError) {
        self.image = image
        self.plan = plan
        name = whole.name
        shownName = whole.shownName
        mappings = image.git.map(\.mapping)
        switch image.base.kind {
        case .scratch:
            base = .scratch
            config = ImageConfig()
            history = []
        case .external:
            guard let found = plan.images[image.base.name] else {
                throw WerfError(
                    file: plan.config.file, line: image.base.line, message: "image: base image '\(image.base.name)' was not found")
            }
            base = .image(image.base.name)
            config = found.config
            history = found.history
        case .own:
            guard let result = plan.results[image.base.name] else {
                throw WerfError(file: plan.config.file, line: image.base.line, message: "image: '\(image.base.name)' has no plan")
            }
            let stage = plan.stages[result.stage]
            base = .stage(result.stage)
            config = stage.config
            history = stage.history
            references = stage.references
        }
        mounts = try MountTable(labels: config.labels, own: image.mounts, file: plan.config.file, line: image.base.line)
    }

    /// Carries out every stage.
    mutating func run() throws(WerfError) {
        let splits = plan.splits[name] ?? []
        let stages = image.stages
        for (index, stage) in stages.enumerated() {
            try apply(stage)
            // A stage that only changes the configuration has the files of the one before it.
            let rest = stages[(index + 1)...]
            if splits.contains(stage), !rest.isEmpty { part(after: stage) }
        }
        part(after: stages.last ?? .from)
    }

    /// The stages of the plan.
    ///
    /// - Parameter first: the index of the first of them.
    func parts(from first: Int) -> [Part] {
        finished.enumerated().map { index, part in
            let isLast = index == finished.count - 1
            var stage = Stage(
                name: isLast ? shownName : "\(shownName)/\(part.name)", base: part.base ?? .stage(first + index - 1), steps: part.steps,
                config: part.config, history: part.history)
            stage.references = part.references
            return Part(stage: stage, ends: part.ends)
        }
    }

    private mutating func part(after stage: WerfStage) {
        finished.append(
            (finished.isEmpty ? base : nil, stage.rawValue, steps, config, history, references, [stage]))
        steps = []
    }

    private mutating func apply(_ stage: WerfStage) throws(WerfError) {
        switch stage {
        case .from:
            mounts.write(to: &config.labels)
            let folders = mounts.folders
            if !folders.isEmpty {
                let line = image.mounts.first?.line ?? image.base.line
                add(.emptyDirectories(paths: folders), to: stage, text: "empty " + folders.joined(separator: " "), line: line)
            }
        case .beforeInstall, .install, .beforeSetup, .setup: addShell(stage)
        case .dependenciesBeforeInstall, .dependenciesAfterInstall, .dependenciesBeforeSetup, .dependenciesAfterSetup:
            for item in image.imports where item.place == stage { try addImport(item, to: stage) }
            for item in image.dependencies where item.place == stage { try addReferences(item) }
        case .gitArchive: addGit(.archive, to: stage)
        case .gitCache: break
        case .gitLatestPatch: addGit(.patch, to: stage)
        case .dockerInstructions:
            if let docker = image.docker { try docker.apply(to: &config, history: &history, file: plan.config.file) }
        case .imageSpec:
            try image.imageSpec?.apply(
                to: &config, history: &history, project: plan.config.project, image: name, file: plan.config.file)
        }
    }

    /// A step, and its entry in the history.
    mutating func add(_ operation: Operation, to stage: WerfStage, text: String, line: Int) {
        let prefix = "[\(shownName)/\(stage.rawValue)]"
        steps.append(Step(name: "\(prefix) \(Self.shortened(text))", operation: operation, lines: line...line))
        history.append(HistoryEntry(createdBy: "werf \(stage.rawValue): \(text)", author: config.author, emptyLayer: false))
    }

    private static func shortened(_ text: String) -> String {
        let oneLine = text.split(whereSeparator: \.isNewline).joined(separator: "; ")
        guard oneLine.utf8.count > shownBytes else { return oneLine }
        return String(oneLine.prefix(shownBytes)) + "…"
    }

    // MARK: Repository

    private mutating func addGit(_ kind: GitOperation.Kind, to stage: WerfStage) {
        let text = image.git.map { "/\($0.path) → \($0.destination)" }.joined(separator: ", ")
        add(.git(GitOperation(kind: kind, mappings: mappings)), to: stage, text: text, line: image.git.first?.line ?? image.base.line)
    }

    // MARK: Other images

    private mutating func addImport(_ item: ImportDirective, to stage: WerfStage) throws(WerfError) {
        let from = try plan.tree(item.from, stage: item.stage, line: item.line)
        let path = CleanPath.relativeToRoot(item.add)
        let isFiltered = !item.includes.isEmpty || !item.excludes.isEmpty
        var copy = CopyOperation(
            // Without a filter the path may be a pattern; an import's is none.
            sources: [.tree(isFiltered ? path : PathPattern.escaped(path))], from: from, destination: item.destination,
            owner: item.owner.map { $0.utf8.last == UInt8(ascii: ":") ? String($0.dropLast()) : $0 })
        if isFiltered { copy.filter = PathFilter(includes: item.includes, excludes: item.excludes) }
        let source = item.stage.map { "\(item.from.name)/\($0.rawValue)" } ?? item.from.name
        add(.copy(copy), to: stage, text: "import \(source):\(item.add) → \(item.destination)", line: item.line)
    }

    private mutating func addReferences(_ item: DependencyDirective) throws(WerfError) {
        guard let result = plan.results[item.image] else {
            throw WerfError(file: plan.config.file, line: item.line, message: "dependencies: '\(item.image)' has no plan")
        }
        for value in item.values {
            let kind: StageReference.Kind = value.kind == .imageID ? .imageID : .imageDigest
            references.removeAll { $0.variable.utf8.elementsEqual(value.target.utf8) }
            references.append(StageReference(variable: value.target, stage: result.stage, kind: kind))
            history.append(HistoryEntry(createdBy: "werf dependencies: ENV \(value.target)", author: config.author, emptyLayer: true))
        }
    }
}

extension GitDirective {
    /// What the plan has of it.
    var mapping: GitMapping {
        GitMapping(path: path, destination: destination, owner: owner, filter: PathFilter(includes: includes, excludes: excludes))
    }
}

extension PathPattern {
    /// A pattern that matches this path alone.
    static func escaped(_ path: String) -> String {
        var result = ""
        for scalar in path.unicodeScalars {
            if "*?[]\\".unicodeScalars.contains(scalar) { result.unicodeScalars.append("\\") }
            result.unicodeScalars.append(scalar)
        }
        return result
    }
}
