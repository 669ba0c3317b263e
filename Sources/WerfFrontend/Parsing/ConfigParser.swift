import BuildPlan

/// Reads the documents of a werf.yaml one after another.
struct ConfigParser {
    private struct Meta {
        var project: String
        var cacheVersion: String?
        var platforms: [String] = []
        var imageSpec: ImageSpecDirective?
        var line: Int
    }

    /// As long as the names of projects in a farm may be, in bytes.
    private static let maximumProjectName = 200
    /// Longer names of images are refused; they stand in every line of the log.
    private static let maximumImageName = 200
    /// Bytes of all images together, where an entry counts once for each of its names: a plan has them all.
    private static let maximumImageBytes = 8 << 20

    let file: String
    private var meta: Meta?
    private var entries: [(section: Section, names: [String], isDockerfile: Bool)] = []
    private var imageBytes = 0

    init(file: String) { self.file = file }

    mutating func read(_ document: YAMLValue) throws(WerfError) {
        guard case .mapping(let directives) = document.content else {
            throw WerfError(file: file, line: document.line, message: "expected a mapping of directives, not \(document.described)")
        }
        let keys = Set(directives.map(\.key))
        if keys.contains("configVersion") {
            let section = try Section(document, Directives.meta, file: file)
            if let meta {
                throw section.error("configVersion", "the file has this section already in line \(meta.line): expected one configVersion")
            }
            meta = try Self.meta(section)
        } else if keys.contains("image") || keys.contains("artifact") {
            let isDockerfile = keys.contains("dockerfile")
            let section = try Section(document, isDockerfile ? Directives.dockerfile : Directives.stapel, file: file)
            let names = try names(section, isDockerfile: isDockerfile)
            entries.append((section, names, isDockerfile))
            imageBytes += document.bytes * names.count
            guard imageBytes <= Self.maximumImageBytes else {
                throw WerfError(
                    file: file, line: document.line,
                    message: "the images up to this one have more than \(Self.maximumImageBytes >> 20) MiB, each name counted")
            }
        } else {
            throw WerfError(
                file: file, line: document.line,
                message: "a document is either the meta section, with configVersion, or an image, with image: this one has neither")
        }
    }

    /// What all documents together are.
    func config() throws(WerfError) -> WerfConfig {
        guard let meta else {
            throw WerfError(
                file: file, line: nil, message: "the meta section is not there: expected a document with configVersion: 1 and project: NAME"
            )
        }
        var lines: [String: Int] = [:]
        for entry in entries {
            for name in entry.names {
                let line = entry.section.line("image")
                if let other = lines.updateValue(line, forKey: name) {
                    throw entry.section.error(
                        "image", "'\(name.isEmpty ? "~" : name)' is the name of another image in line \(other): expected each name once")
                }
            }
        }
        guard lines.count <= WerfConfig.maximumImages else {
            throw WerfError(
                file: file, line: nil, message: "the file has \(lines.count) images: expected at most \(WerfConfig.maximumImages)")
        }
        let names = Set(lines.keys)
        var images: [WerfImage] = []
        for entry in entries {
            let section = entry.section
            let isFinal = try section.bool("final") ?? true
            let parser = ImageParser(section: section, ownNames: entry.names, names: names)
            let body: WerfImage.Body =
                entry.isDockerfile
                ? .dockerfile(try parser.dockerfile(global: isFinal ? meta.imageSpec : nil))
                : .stapel(try parser.stapel(global: isFinal ? meta.imageSpec : nil))
            for name in entry.names {
                images.append(WerfImage(name: name, line: section.line("image"), isFinal: isFinal, body: body.named(name)))
            }
        }
        let config = WerfConfig(
            file: file, project: meta.project, images: images, cacheVersion: meta.cacheVersion, platforms: meta.platforms)
        try config.checkCycles()
        return config
    }

    private static func meta(_ section: Section) throws(WerfError) -> Meta {
        guard try section.integer("configVersion") == 1 else {
            throw section.error("configVersion", "'configVersion' expects 1, not \(section.value("configVersion")?.described ?? "nothing")")
        }
        guard let project = try section.text("project") else { throw section.error("project", "'project' is required: expected a name") }
        let isName = project.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
        guard isName, project.utf8.count <= Self.maximumProjectName, project.utf8.first != UInt8(ascii: "-"),
            project.utf8.last != UInt8(ascii: "-")
        else {
            throw section.error(
                "project",
                "'project: \(project.prefix(60))': expected small letters, digits and hyphens, beginning and ending with one of the first two"
            )
        }
        var meta = Meta(project: project, line: section.line("configVersion"))
        guard let build = try section.section("build", Directives.build) else { return meta }
        meta.cacheVersion = try build.text("cacheVersion")
        meta.platforms = try ImageParser.platforms(build)
        _ = try build.bool("staged")
        meta.imageSpec = try ImageSpecDirective(global: build)
        return meta
    }

    private func names(_ section: Section, isDockerfile: Bool) throws(WerfError) -> [String] {
        guard section.value("image") != nil else {
            guard !isDockerfile else { throw section.error("image", "'image' expects a name where a Dockerfile is built") }
            return [""]
        }
        let names = try section.strings("image")
        guard !names.isEmpty else { throw section.error("image", "'image' expects at least one name") }
        for name in names {
            let isName = name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
            guard isName, !name.isEmpty, name.utf8.count <= Self.maximumImageName else {
                throw section.error("image", "'\(name.prefix(60))' is no image name: expected letters, digits and . _ - /")
            }
            guard name != "scratch" else { throw section.error("image", "'scratch' means the empty base: expected another name") }
        }
        if let twice = Dictionary(grouping: names, by: { $0 }).first(where: { $0.value.count > 1 })?.key {
            throw section.error("image", "'\(twice)' is given twice: expected each name once")
        }
        return names
    }
}
