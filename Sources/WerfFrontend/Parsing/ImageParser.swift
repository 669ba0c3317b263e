import BuildPlan
import DockerfileFrontend

/// Reads the directives of one entry, which is one image or several alike.
struct ImageParser {
    let section: Section
    /// Of this entry; none of them may be what it stands on.
    let ownNames: [String]
    /// Of all images of the file.
    let names: Set<String>

    func stapel(global: ImageSpecDirective?) throws(WerfError) -> StapelImage {
        let mounts = try mounts()
        var git = try git()
        var imports = try imports()
        try Overlap.resolve(&git, &imports, section: section)
        let docker = try section.section("docker", Directives.docker).map { section throws(WerfError) in try DockerDirective(section) }
        if docker != nil, section.value("imageSpec") != nil {
            throw section.error("imageSpec", "'docker' and 'imageSpec' exclude each other: expected one of them")
        }
        return StapelImage(
            base: try base(), fromLatest: try section.bool("fromLatest") ?? false, fromCacheVersion: try section.text("fromCacheVersion"),
            cacheVersion: try section.text("cacheVersion"), platforms: try Self.platforms(section), network: try network(),
            keepsGitAsBuilt: try section.bool("disableGitAfterPatch") ?? false, git: git, shell: try shell(), mounts: mounts,
            imports: imports, dependencies: try dependencies(isDockerfile: false), secrets: try secrets(), docker: docker,
            imageSpec: try ImageSpecDirective.merged(section, global: global))
    }

    func dockerfile(global: ImageSpecDirective?) throws(WerfError) -> DockerfileImage {
        guard let dockerfile = try section.text("dockerfile") else { throw section.error("dockerfile", "'dockerfile' expects a path") }
        let context = try relative("context") ?? ""
        _ = try section.bool("staged")
        var arguments: [String: String] = [:]
        for pair in try section.pairs("args") { arguments[pair.name] = pair.value }
        let dependencies = try dependencies(isDockerfile: true)
        for dependency in dependencies {
            for value in dependency.values where arguments[value.target] != nil {
                throw section.error("args", "'\(value.target)' is in args and in the imports of dependencies: expected it once")
            }
        }
        let path = try relative("dockerfile") ?? dockerfile
        return DockerfileImage(
            context: context, dockerfile: CleanPath.relativeToRoot(context + "/" + path), dockerfileLine: section.line("dockerfile"),
            target: try section.text("target"), arguments: arguments, extraHosts: try extraHosts(),
            cacheVersion: try section.text("cacheVersion"), platforms: try Self.platforms(section), network: try network(),
            dependencies: dependencies, secrets: try secrets(), imageSpec: try ImageSpecDirective.merged(section, global: global))
    }

    // MARK: Base, platform, network

    private func base() throws(WerfError) -> ImageName {
        let from = try section.text("from")
        let older = try section.text("fromImage")
        switch (from, older) {
        case (.some, .some): throw section.error("fromImage", "'from' and 'fromImage' exclude each other: expected one of them")
        case (nil, nil): throw section.error("from", "'from' is required: expected an image of the file, an external image, or scratch")
        case (nil, .some(let name)):
            guard names.contains(name) else { throw unknown(name, section, "fromImage") }
            guard !ownNames.contains(name) else { throw section.error("fromImage", "an image can't stand on itself") }
            return ImageName(name: name, kind: .own, line: section.line("fromImage"))
        case (.some(let name), nil):
            let line = section.line("from")
            if name == "scratch" {
                guard try section.bool("fromLatest") != true else {
                    throw section.error("fromLatest", "'fromLatest' means nothing with from: scratch")
                }
                return ImageName(name: name, kind: .scratch, line: line)
            }
            if names.contains(name) {
                guard !ownNames.contains(name) else { throw section.error("from", "an image can't stand on itself") }
                return ImageName(name: name, kind: .own, line: line)
            }
            guard Self.isReference(name) else { throw section.error("from", "'\(name.prefix(60))' is no image name") }
            return ImageName(name: name, kind: .external, line: line)
        }
    }

    /// What an external image may be called: no white space, no control characters.
    private static func isReference(_ name: String) -> Bool { !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f } }

    static func platforms(_ section: Section) throws(WerfError) -> [String] {
        let platforms = try section.strings("platform")
        for text in platforms where Platform(text) == nil {
            throw section.error("platform", "'\(text.prefix(60))' is no platform: expected one like linux/amd64")
        }
        guard platforms.count < 2 else {
            throw section.error("platform", "images of several platforms are not built yet: expected one platform")
        }
        return platforms
    }

    private func network() throws(WerfError) -> NetworkMode? {
        switch try section.text("network") {
        case nil, "default": nil
        case "host": .host
        case "none": NetworkMode.none
        case .some(let other):
            throw section.error("network", "'network: \(other.prefix(60))' is not built yet: expected default, host or none")
        }
    }

    private func extraHosts() throws(WerfError) -> [String] {
        let hosts = try section.strings("addHost")
        for host in hosts {
            let parts = host.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
                throw section.error("addHost", "'\(host.prefix(60))': expected name:address")
            }
        }
        return hosts
    }

    private func relative(_ directive: String) throws(WerfError) -> String? {
        guard let path = try section.text(directive) else { return nil }
        let clean = CleanPath.clean(path)
        guard path.utf8.first != UInt8(ascii: "/"), !clean.leadsUp else {
            throw section.error(directive, "'\(directive): \(path)' leads out of the repository: expected a path below it")
        }
        return clean == "." ? "" : clean
    }

    func unknown(_ name: String, _ section: Section, _ directive: String) -> WerfError {
        let nearest = Nearest.word(to: name, among: Array(names)).map { " (did you mean \($0)?)" } ?? ""
        return section.error(directive, "the file has no image '\(name.prefix(60))'\(nearest)")
    }

    // MARK: Shell

    private func shell() throws(WerfError) -> ShellDirective? {
        guard let shell = try section.section("shell", Directives.shell) else { return nil }
        var directive = ShellDirective(commands: [:], cacheVersion: try shell.text("cacheVersion"), cacheVersions: [:], lines: [:])
        for stage in WerfStage.shell {
            let commands = try shell.strings(stage.rawValue)
            if !commands.isEmpty { directive.commands[stage] = commands }
            directive.cacheVersions[stage] = try shell.text(stage.rawValue + "CacheVersion")
            directive.lines[stage] = shell.line(stage.rawValue)
        }
        return directive
    }

    // MARK: Secrets

    private func secrets() throws(WerfError) -> [WerfSecret] {
        var secrets: [WerfSecret] = []
        for item in try section.sections("secrets", Directives.secrets) {
            let given = ["env", "src", "value"].filter { item.value($0) != nil }
            guard given.count == 1 else {
                throw item.error(
                    given.last ?? "id", "a secret expects one of env, src and value, not \(given.isEmpty ? "none" : "several")")
            }
            var id = try item.text("id")
            let source: WerfSecret.Source
            if let variable = try item.text("env") {
                source = .variable(variable)
                id = id ?? variable
            } else if let path = try item.text("src") {
                source = .file(path)
                id = id ?? path.split(separator: "/").last.map { String($0) }
            } else if let value = try item.string("value") {
                source = .value(value)
                guard id != nil else { throw item.error("value", "a secret with a value expects an id") }
            } else {
                throw item.error(given[0], "'\(given[0])' is empty")
            }
            guard let id, !id.utf8.contains(UInt8(ascii: "/")), id != ".", id != "..", id.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
            else {
                throw item.error("id", "'\((id ?? "").prefix(60))' is no id of a secret: it is a file's name in /run/secrets")
            }
            guard !secrets.contains(where: { $0.id == id }) else {
                throw item.error("id", "the secret '\(id)' is given twice in this image")
            }
            secrets.append(WerfSecret(image: "", id: id, source: source, line: item.line))
        }
        return secrets
    }
}
