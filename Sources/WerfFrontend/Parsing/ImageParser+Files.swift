import BuildPlan

extension ImageParser {
    // MARK: mount

    func mounts() throws(WerfError) -> [MountDirective] {
        var mounts: [MountDirective] = []
        for item in try section.sections("mount", Directives.mount) {
            guard let to = try item.text("to") else { throw item.error("to", "'to' is required: expected an absolute path in the image") }
            let target = try Self.absolute(to, item, "to")
            guard target != "/" else { throw item.error("to", "'to: /' would hide the whole image: expected a path below it") }
            if let other = mounts.first(where: { $0.target.utf8.elementsEqual(target.utf8) }) {
                throw item.error("to", "'to: \(target)' is given twice in this image, first in line \(other.line): expected each path once")
            }
            let from = try item.text("from")
            let fromPath = try item.text("fromPath")
            let kind: MountDirective.Kind
            switch (from, fromPath) {
            case (.some(let from), .some(let path)):
                throw item.error("fromPath", "'from: \(from)' and 'fromPath: \(path)' exclude each other: expected one of them")
            case ("tmp_dir", nil): kind = .temporary
            case ("build_dir", nil): kind = .build
            case (.some(let other), nil):
                throw item.error("from", "'from: \(other.prefix(60))': expected tmp_dir or build_dir, or fromPath with a path of the agent")
            case (nil, .some(let path)):
                guard path.utf8.first == UInt8(ascii: "/") else {
                    throw item.error(
                        "fromPath", "'fromPath: \(path)' is not absolute: expected a path of the agent that its operator allows")
                }
                kind = .host(try Self.absolute(CleanPath.clean(path), item, "fromPath"))
            case (nil, nil): throw item.error("from", "expected from: tmp_dir, from: build_dir or fromPath: PATH")
            }
            mounts.append(MountDirective(target: target, kind: kind, line: item.line))
        }
        return mounts
    }

    // MARK: git

    func git() throws(WerfError) -> [GitDirective] {
        var mappings: [GitDirective] = []
        for item in try section.sections("git", Directives.git) {
            let add = try Self.absolute(try item.text("add") ?? "/", item, "add")
            guard let to = try item.text("to") else { throw item.error("to", "'to' is required: expected an absolute path in the image") }
            var dependencies: [WerfStage: [String]] = [:]
            if let masks = try item.section("stageDependencies", Directives.stageDependencies) {
                for stage in [WerfStage.install, .beforeSetup, .setup] {
                    let globs = try Self.globs(masks, stage.rawValue)
                    if !globs.isEmpty { dependencies[stage] = globs }
                }
            }
            mappings.append(
                GitDirective(
                    path: String(add.dropFirst()), destination: try Self.absolute(to, item, "to"), owner: try Self.owner(item),
                    includes: try Self.globs(item, "includePaths"), excludes: try Self.globs(item, "excludePaths"),
                    dependencies: dependencies, line: item.line))
        }
        return mappings
    }

    // MARK: import

    func imports() throws(WerfError) -> [ImportDirective] {
        var imports: [ImportDirective] = []
        for item in try section.sections("import", Directives.imports) {
            let from = try source(item, mayBeExternal: true)
            var stage: WerfStage?
            if let name = try item.text("stage") {
                stage = WerfStage(rawValue: name)
                guard stage != nil else {
                    throw item.error(
                        "stage",
                        "'stage: \(name.prefix(60))' is no stage: expected one of \(WerfStage.allCases.map(\.rawValue).joined(separator: ", "))"
                    )
                }
                guard from.kind == .own else {
                    throw item.error("stage", "'stage' expects an image of the file: '\(from.name)' is external")
                }
            }
            guard let add = try item.text("add") else { throw item.error("add", "'add' is required: expected an absolute path") }
            let source = try Self.absolute(add, item, "add")
            let to = try item.text("to") ?? add
            let clean = try Self.absolute(to, item, "to")
            let isFolder = to.utf8.last == UInt8(ascii: "/") && clean != "/"
            guard let place = try place(item) else {
                throw item.error("before", "expected before: install, before: setup, after: install or after: setup")
            }
            imports.append(
                ImportDirective(
                    from: from, stage: stage, add: source, destination: isFolder ? clean + "/" : clean,
                    place: place, owner: try Self.owner(item), includes: try Self.globs(item, "includePaths"),
                    excludes: try Self.globs(item, "excludePaths"), line: item.line))
        }
        return imports
    }

    // MARK: dependencies

    func dependencies(isDockerfile: Bool) throws(WerfError) -> [DependencyDirective] {
        var result: [DependencyDirective] = []
        var targets: Set<String> = []
        for item in try section.sections("dependencies", Directives.dependencies) {
            let image = try source(item, mayBeExternal: false).name
            let place = try place(item)
            if isDockerfile, place != nil {
                throw item.error(item.has("before") ? "before" : "after", "'before' and 'after' mean nothing where a Dockerfile is built")
            }
            guard isDockerfile || place != nil else {
                throw item.error("before", "expected before: install, before: setup, after: install or after: setup")
            }
            var values: [DependencyDirective.Value] = []
            for entry in try item.sections("imports", Directives.dependencyImports) {
                let value = try self.value(entry, isDockerfile: isDockerfile)
                guard targets.insert(value.target).inserted else {
                    throw entry.error(
                        isDockerfile ? "targetBuildArg" : "targetEnv", "'\(value.target)' is given twice: expected each name once")
                }
                values.append(value)
            }
            guard !values.isEmpty else {
                throw item.error("imports", "'dependencies' without 'imports' is not built yet: expected what is to be known of '\(image)'")
            }
            result.append(DependencyDirective(image: image, place: place, values: values, line: item.line))
        }
        return result
    }

    private func value(_ entry: Section, isDockerfile: Bool) throws(WerfError) -> DependencyDirective.Value {
        let directive = isDockerfile ? "targetBuildArg" : "targetEnv"
        let other = isDockerfile ? "targetEnv" : "targetBuildArg"
        guard !entry.has(other) else {
            throw entry.error(other, "'\(other)' belongs to \(isDockerfile ? "Stapel images" : "Dockerfiles"): expected \(directive)")
        }
        guard let target = try entry.text(directive) else { throw entry.error(directive, "'\(directive)' is required: expected a name") }
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "=") && $0 != 0x7f }) else {
            throw entry.error(directive, "'\(target.prefix(60))' is no name of a variable")
        }
        let type = try entry.text("type")
        switch (type, isDockerfile) {
        case ("ImageDigest", false): return DependencyDirective.Value(kind: .imageDigest, target: target)
        case ("ImageID", false): return DependencyDirective.Value(kind: .imageID, target: target)
        case ("ImageName", true): return DependencyDirective.Value(kind: .imageName, target: target)
        case ("ImageDigest", true), ("ImageID", true):
            throw entry.error(
                "type", "'type: \(type ?? "")' of a build argument is not built yet: expected ImageName, for a base or COPY --from")
        case ("ImageName", false), ("ImageRepo", _), ("ImageTag", _):
            throw entry.error(
                "type",
                "'type: \(type ?? "")' is not supported: an image has no name in a registry while it is built; expected "
                    + (isDockerfile ? "ImageName, for a base or COPY --from" : "ImageDigest or ImageID"))
        default:
            throw entry.error(
                "type", "'type: \((type ?? "").prefix(60))': expected \(isDockerfile ? "ImageName" : "ImageDigest or ImageID")")
        }
    }

    // MARK: Parts

    private func source(_ item: Section, mayBeExternal: Bool) throws(WerfError) -> ImageName {
        let from = try item.text("from")
        let older = try item.text("image")
        if from != nil, older != nil { throw item.error("image", "'from' and 'image' exclude each other: expected one of them") }
        let directive = from == nil ? "image" : "from"
        guard let name = from ?? older else { throw item.error("from", "'from' is required: expected an image of the file") }
        if names.contains(name) {
            guard !ownNames.contains(name) else { throw item.error(directive, "an image can't need itself") }
            return ImageName(name: name, kind: .own, line: item.line(directive))
        }
        // As werf does: what has a tag or a digest is not of this file.
        let last = name.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard mayBeExternal, last.utf8.contains(UInt8(ascii: ":")) || name.utf8.contains(UInt8(ascii: "@")),
            name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f })
        else { throw unknown(name, item, directive) }
        return ImageName(name: name, kind: .external, line: item.line(directive))
    }

    private func place(_ item: Section) throws(WerfError) -> WerfStage? {
        switch (try item.text("before"), try item.text("after")) {
        case (nil, nil): nil
        case ("install", nil): .dependenciesBeforeInstall
        case ("setup", nil): .dependenciesBeforeSetup
        case (nil, "install"): .dependenciesAfterInstall
        case (nil, "setup"): .dependenciesAfterSetup
        case (.some, .some): throw item.error("after", "'before' and 'after' exclude each other: expected one of them")
        case (.some(let stage), nil): throw item.error("before", "'before: \(stage.prefix(60))': expected install or setup")
        case (nil, .some(let stage)): throw item.error("after", "'after: \(stage.prefix(60))': expected install or setup")
        }
    }

    private static func absolute(_ path: String, _ item: Section, _ directive: String) throws(WerfError) -> String {
        guard path.utf8.first == UInt8(ascii: "/") else {
            throw item.error(directive, "'\(directive): \(path)' is not absolute: expected a path that begins with /")
        }
        guard !path.leadsUp else {
            throw item.error(directive, "'\(directive): \(path)' has '..': expected a path without it")
        }
        return CleanPath.clean(path)
    }

    private static func owner(_ item: Section) throws(WerfError) -> String? {
        let owner = try item.text("owner")
        let group = try item.text("group")
        for (directive, name) in [("owner", owner), ("group", group)] {
            guard let name else { continue }
            guard name.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: ":") && $0 != 0x7f }) else {
                throw item.error(directive, "'\(directive): \(name.prefix(60))': expected a name or a number")
            }
        }
        if owner == nil, group == nil { return nil }
        return "\(owner ?? ""):\(group ?? "")"
    }

    /// Masks are relative to what `add` names.
    private static func globs(_ item: Section, _ directive: String) throws(WerfError) -> [String] {
        let globs = try item.strings(directive)
        for glob in globs {
            guard !glob.isEmpty, glob.utf8.first != UInt8(ascii: "/"), !glob.leadsUp else {
                throw item.error(
                    directive, "'\(directive)': '\(glob.prefix(60))': expected a path or pattern relative to 'add', without '..'")
            }
            do throws(PathPatternError) {
                _ = try PathPattern(glob, syntax: .ignore)
            } catch { throw item.error(directive, "'\(directive)': \(error)") }
        }
        return globs
    }
}

extension String {
    /// True with a `..` between slashes. By bytes: a slash before a combining character is none for Swift, and is one for Linux.
    var leadsUp: Bool { utf8.split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) } }
}
