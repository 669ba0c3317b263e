import BuildPlan

extension Dockerfile {
    /// The names of the images that the target needs, as bases and as sources of files: the caller finds them, then makes the plan.
    ///
    /// In the order of the file, each once. Throws where the target or a stage that it needs can't be named.
    public func baseImages(options: FrontendOptions) throws(DockerfileError) -> [String] {
        try StageGraph(self, options: options, images: [:]).images()
    }

    /// The stages that the target needs, with every variable expanded.
    ///
    /// - Parameter images: by the names that ``baseImages(options:)`` gave.
    /// - Throws: the first error, with its lines; also for what is known but not built yet, if the target needs it.
    public func makePlan(options: FrontendOptions, images: [String: BaseImage]) throws(DockerfileError) -> Plan {
        let graph = try StageGraph(self, options: options, images: images)
        let order = try graph.order()
        let positions = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($0.element, $0.offset) })
        var built: [StageBuilder] = []
        let budget = ExpansionBudget()
        for index in order {
            guard let node = graph.nodes[index] else { continue }
            var builder = try StageBuilder(node, graph: graph, positions: positions, images: images, built: built, budget: budget)
            try builder.run()
            built.append(builder)
        }
        var stages = built.map(\.stage)
        guard let target = positions[graph.target] else { throw DockerfileError(file: name, message: "the target has no plan", lines: nil) }
        stages[target].config.labels.merge(options.labels) { $1 }
        return Plan(stages: stages, target: target, platform: options.platform, warnings: warnings + unusedArguments(options))
    }

    private func unusedArguments(_ options: FrontendOptions) -> [String] {
        var declared = Set(FrontendOptions.proxyNames).union(options.predefined(stage: nil).keys)
        for instruction in globals + stages.flatMap(\.instructions) {
            guard case .arg(let definitions) = instruction.kind else { continue }
            declared.formUnion(definitions.map(\.name))
        }
        return options.buildArguments.keys.filter { !declared.contains($0) }.sorted()
            .map { "\(name): build argument \($0) is not used: no ARG declares it" }
    }
}
