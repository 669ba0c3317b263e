import BuildPlan

extension WerfConfig {
    /// The names of the external images that the selected images need, as bases and as sources of files: the caller finds them, then makes
    /// the plan. In the order of building, each once.
    ///
    /// - Parameter files: the texts of ``files(of:)`` by their paths; what may be missing and is, is not there.
    public func baseImages(options: WerfOptions, files: [String: String]) throws(WerfError) -> [String] {
        var names: [String] = []
        for image in closure(of: try selected(options.images)) {
            switch image.body {
            case .stapel(let stapel):
                for name in [stapel.base] + stapel.imports.map(\.from) where name.kind == .external && !names.contains(name.name) {
                    names.append(name.name)
                }
            case .dockerfile(let dockerfile):
                let source = DockerfileSource(dockerfile, of: image, config: self)
                for name in try source.baseImages(options: options, files: files) where !names.contains(name) { names.append(name) }
            }
        }
        return names
    }

    /// The stages that the selected images need, and which of them are results.
    ///
    /// One image is one stage, unless another image imports from one of its inner stages: then it is parted there. An image that a
    /// Dockerfile builds has the stages of the Dockerfile.
    ///
    /// - Parameters:
    ///   - images: by the names that ``baseImages(options:files:)`` gave.
    ///   - files: the texts of ``files(of:)`` by their paths.
    /// - Throws: the first error, with its line.
    public func makePlan(options: WerfOptions, images: [String: BaseImage], files: [String: String]) throws(WerfError) -> Plan {
        let selected = try selected(options.images)
        let needed = closure(of: selected)
        var builder = PlanBuilder(config: self, options: options, images: images, files: files, splits: try splits(of: needed))
        for image in needed {
            if let platform = (image.platforms.first ?? platforms.first).flatMap({ Platform($0) }), platform != options.platform {
                throw WerfError(
                    file: file, line: image.line,
                    message:
                        "image '\(image.shownName)' is for \(platform), the build for \(options.platform): expected --platform \(platform)")
            }
            try builder.add(image)
        }
        return builder.plan(of: selected)
    }

    /// The inner stages that imports name, by image.
    private func splits(of images: [WerfImage]) throws(WerfError) -> [String: Set<WerfStage>] {
        var splits: [String: Set<WerfStage>] = [:]
        for image in images {
            guard case .stapel(let stapel) = image.body else { continue }
            for item in stapel.imports {
                guard let stage = item.stage, let source = self[item.from.name] else { continue }
                guard case .stapel(let other) = source.body else {
                    throw WerfError(
                        file: file, line: item.line,
                        message: "import: 'stage' expects an image with stages: '\(source.shownName)' is built by a Dockerfile")
                }
                let stages = other.stages
                guard stages.contains(stage) else {
                    throw WerfError(
                        file: file, line: item.line,
                        message: "import: image '\(source.shownName)' has no stage '\(stage.rawValue)': it has "
                            + stages.map(\.rawValue).joined(separator: ", "))
                }
                splits[source.name, default: []].insert(stage)
            }
        }
        return splits
    }
}

extension StapelImage {
    /// Its stages that have something to do, in their order. `from` is always there.
    var stages: [WerfStage] {
        WerfStage.allCases.filter { stage in
            switch stage {
            case .from: true
            case .beforeInstall, .install, .beforeSetup, .setup: shell?.commands[stage] != nil
            case .dependenciesBeforeInstall, .dependenciesAfterInstall, .dependenciesBeforeSetup, .dependenciesAfterSetup:
                imports.contains { $0.place == stage } || dependencies.contains { $0.place == stage }
            case .gitArchive: !git.isEmpty
            // What has changed since the archive is one small layer here: see docs/decisions/no-git-cache-stage.md.
            case .gitCache: false
            case .gitLatestPatch: !git.isEmpty && !keepsGitAsBuilt
            case .dockerInstructions: docker != nil
            case .imageSpec: imageSpec != nil
            }
        }
    }
}
