import BuildPlan

/// Puts images into a plan, one after the other, each after those that it needs.
struct PlanBuilder {
    /// What others need to know of an image that is in the plan.
    struct Result {
        /// The index of its last stage.
        var stage: Int
        /// Where it was parted: the index of the stage that ends with an inner one.
        var inner: [WerfStage: Int] = [:]
    }

    let config: WerfConfig
    let options: WerfOptions
    let images: [String: BaseImage]
    let files: [String: String]
    /// The inner stages after which images are parted.
    let splits: [String: Set<WerfStage>]
    private(set) var stages: [Stage] = []
    private(set) var results: [String: Result] = [:]
    private var warnings: [String] = []

    init(config: WerfConfig, options: WerfOptions, images: [String: BaseImage], files: [String: String], splits: [String: Set<WerfStage>]) {
        self.config = config
        self.options = options
        self.images = images
        self.files = files
        self.splits = splits
    }

    /// - Throws: where it can't be built, with its line.
    mutating func add(_ image: WerfImage) throws(WerfError) {
        switch image.body {
        case .stapel(let stapel):
            var builder = try StapelBuilder(stapel, of: image, in: self)
            try builder.run()
            let first = stages.count
            let parts = builder.parts(from: first)
            stages += parts.map(\.stage)
            var result = Result(stage: first + parts.count - 1)
            for (offset, part) in parts.enumerated() { for stage in part.ends { result.inner[stage] = first + offset } }
            results[image.name] = result
        case .dockerfile(let dockerfile):
            let plan = try DockerfileSource(dockerfile, of: image, config: config).plan(in: self)
            warnings += plan.warnings.filter { !warnings.contains($0) }
            let merge = PlanMerge(image: image, dockerfile: dockerfile, offset: stages.count, results: results)
            let first = stages.count
            for (index, stage) in plan.stages.enumerated() {
                var stage = merge.stage(stage, isResult: index == plan.target)
                if index == plan.target, let spec = dockerfile.imageSpec {
                    try spec.apply(
                        to: &stage.config, history: &stage.history, project: config.project, image: image.name, file: config.file)
                }
                stages.append(stage)
            }
            results[image.name] = Result(stage: first + plan.target)
        }
    }

    /// The plan of what has been added.
    consuming func plan(of selected: [WerfImage]) -> Plan {
        var planned: [PlannedImage] = []
        for image in selected {
            guard let result = results[image.name] else { continue }
            stages[result.stage].config.labels.merge(options.labels) { $1 }
            planned.append(PlannedImage(name: image.name, stage: result.stage))
        }
        return Plan(stages: stages, target: planned.last?.stage ?? 0, images: planned, platform: options.platform, warnings: warnings)
    }

    /// Where an import reads.
    func tree(_ name: ImageName, stage: WerfStage?, line: Int) throws(WerfError) -> TreeSource {
        guard name.kind == .own else {
            guard images[name.name] != nil else {
                throw WerfError(file: config.file, line: line, message: "import: image '\(name.name)' was not found")
            }
            return .image(name.name)
        }
        guard let result = results[name.name] else {
            throw WerfError(file: config.file, line: line, message: "import: image '\(name.name)' has no plan")
        }
        return .stage(stage.flatMap { result.inner[$0] } ?? result.stage)
    }
}
