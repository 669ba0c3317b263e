import BuildPlan

/// Puts the stages of a Dockerfile's plan into a larger one: with other indexes and names, below a folder of the repository.
struct PlanMerge {
    let image: WerfImage
    let dockerfile: DockerfileImage
    /// The index that its first stage gets.
    let offset: Int
    /// Of the images of the werf.yaml that the Dockerfile may name.
    let results: [String: PlanBuilder.Result]

    /// - Parameter isResult: true for the stage that becomes the image: it has the image's name.
    func stage(_ stage: Stage, isResult: Bool) -> Stage {
        var stage = stage
        stage.base =
            switch stage.base {
            case .scratch: .scratch
            case .stage(let index): .stage(index + offset)
            case .image(let name): ownImage(name).map { .stage($0) } ?? .image(name)
            }
        stage.name = isResult ? image.shownName : "\(image.shownName)/\(stage.name)"
        stage.steps = stage.steps.map { step in
            var step = step
            if step.name.utf8.first == UInt8(ascii: "[") {
                let rest = step.name.dropFirst()
                let isBare =
                    rest.utf8.first.map { $0 == UInt8(ascii: " ") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
                step.name = "[\(image.shownName)\(isBare ? " " : "/")\(rest)"
            }
            step.operation = operation(step.operation)
            return step
        }
        return stage
    }

    private func operation(_ operation: Operation) -> Operation {
        switch operation {
        case .run(var run):
            run.mounts = run.mounts.map { mount($0) }
            run.extraHosts += dockerfile.extraHosts
            run.cacheVersion = run.cacheVersion ?? dockerfile.cacheVersion
            return .run(run)
        case .copy(var copy):
            if copy.from == .context {
                copy.sources = copy.sources.map { source in
                    guard case .tree(let path) = source, !dockerfile.context.isEmpty else { return source }
                    return .tree(below(copy.filter == nil ? PathPattern.escaped(dockerfile.context) : dockerfile.context, path))
                }
            }
            copy.from = tree(copy.from)
            return .copy(copy)
        case .makeDirectory, .git, .emptyDirectories: return operation
        }
    }

    private func mount(_ mount: Mount) -> Mount {
        var mount = mount
        switch mount.kind {
        case .bind(let from, let source):
            mount.kind = .bind(from: tree(from), source: from == .context ? below(dockerfile.context, source) : source)
        case .cache(var cache):
            if var seed = cache.seed {
                if seed.source == .context {
                    seed.path = below(seed.wildcards ? PathPattern.escaped(dockerfile.context) : dockerfile.context, seed.path)
                }
                seed.source = tree(seed.source)
                cache.seed = seed
            }
            mount.kind = .cache(cache)
        case .secret(var secret):
            // What the werf.yaml does not name is left to the client's --secret.
            if dockerfile.secrets.contains(where: { $0.id == secret.id }) {
                secret.id = WerfSecret.qualifiedID(secret.id, image: image.name)
            }
            mount.kind = .secret(secret)
        case .tmpfs, .temporary, .host: break
        }
        return mount
    }

    private func tree(_ source: TreeSource) -> TreeSource {
        switch source {
        case .context: .context
        case .stage(let index): .stage(index + offset)
        case .image(let name): ownImage(name).map { .stage($0) } ?? .image(name)
        }
    }

    private func ownImage(_ name: String) -> Int? {
        guard name.utf8.starts(with: DockerfileSource.ownImagePrefix.utf8) else { return nil }
        return results[String(name.dropFirst(DockerfileSource.ownImagePrefix.count))]?.stage
    }

    private func below(_ folder: String, _ path: String) -> String {
        if folder.isEmpty { return path }
        return path.isEmpty ? folder : folder + "/" + path
    }
}
