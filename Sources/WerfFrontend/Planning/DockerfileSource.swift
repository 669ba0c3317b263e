import BuildPlan
import DockerfileFrontend

/// The Dockerfile of an image, read and planned by its own frontend.
struct DockerfileSource {
    /// Begins the name of a base by which a Dockerfile means an image of the werf.yaml: no image in a registry can be called so.
    static let ownImagePrefix = "werf:"

    let dockerfile: DockerfileImage
    let image: WerfImage
    let config: WerfConfig

    init(_ dockerfile: DockerfileImage, of image: WerfImage, config: WerfConfig) {
        self.dockerfile = dockerfile
        self.image = image
        self.config = config
    }

    /// The external images that it needs.
    func baseImages(options: WerfOptions, files: [String: String]) throws(WerfError) -> [String] {
        let file = try parsed(files)
        return try telling { () throws(DockerfileError) in try file.baseImages(options: frontendOptions(options)) }
            .filter { !$0.utf8.starts(with: Self.ownImagePrefix.utf8) }
    }

    /// Its plan, with indexes of its own.
    func plan(in builder: PlanBuilder) throws(WerfError) -> Plan {
        let file = try parsed(builder.files)
        var images = builder.images
        for name in Set(dockerfile.dependencies.map(\.image)) {
            guard let result = builder.results[name] else { continue }
            let stage = builder.stages[result.stage]
            guard stage.references.isEmpty else {
                throw WerfError(
                    file: config.file, line: dockerfile.dockerfileLine,
                    message: "dependencies: '\(name)' has dependencies itself: a Dockerfile upon it is not built yet")
            }
            images[Self.ownImagePrefix + name] = BaseImage(
                name: Self.ownImagePrefix + name, platform: builder.options.platform, config: stage.config, history: stage.history,
                layers: [])
        }
        let plan = try telling { () throws(DockerfileError) in
            try file.makePlan(options: frontendOptions(builder.options), images: images)
        }
        return try IgnoreRules(dockerfile, files: builder.files, config: config).applied(to: try checked(plan))
    }

    private func parsed(_ files: [String: String]) throws(WerfError) -> Dockerfile {
        guard let text = files[dockerfile.dockerfile] else {
            throw WerfError(
                file: config.file, line: dockerfile.dockerfileLine,
                message:
                    "image: the repository has no file '\(dockerfile.dockerfile)': expected the Dockerfile of image '\(image.shownName)'")
        }
        return try telling { () throws(DockerfileError) in try Dockerfile(parsing: text, name: dockerfile.dockerfile) }
    }

    private func frontendOptions(_ options: WerfOptions) -> FrontendOptions {
        var arguments = dockerfile.arguments
        for dependency in dockerfile.dependencies {
            for value in dependency.values { arguments[value.target] = Self.ownImagePrefix + dependency.image }
        }
        return FrontendOptions(
            target: dockerfile.target, buildArguments: arguments, platform: options.platform,
            network: dockerfile.network ?? options.network)
    }

    private func telling<R>(_ body: () throws(DockerfileError) -> R) throws(WerfError) -> R {
        do throws(DockerfileError) {
            return try body()
        } catch { throw WerfError(file: error.file, line: error.lines?.lowerBound, message: error.message) }
    }

    // The argument is a name for FROM and --from; where a command sees it, it would take it for an address.
    private func checked(_ plan: Plan) throws(WerfError) -> Plan {
        let targets = Set(dockerfile.dependencies.flatMap { $0.values.map(\.target) })
        guard !targets.isEmpty else { return plan }
        for stage in plan.stages {
            for step in stage.steps {
                guard case .run(let run) = step.operation,
                    let entry = run.environment.first(where: { entry in
                        targets.contains { entry.utf8.starts(with: "\($0)=\(Self.ownImagePrefix)".utf8) }
                    })
                else { continue }
                throw WerfError(
                    file: dockerfile.dockerfile, line: step.lines.lowerBound,
                    message:
                        "a command sees '\(entry.prefix { $0 != "=" })', the name of an image of werf.yaml: expected it in FROM or --from alone"
                )
            }
        }
        return plan
    }
}
