import BuildPlan
import Yams

/// werf-giterminism.yaml: what a project's build may use beyond the commit that is built.
struct Giterminism: Sendable {
    /// Everything that is asked for by `--loose`.
    var isLoose = false
    /// `config.allowUncommitted`: werf.yaml is read from the work tree.
    var uncommittedConfig = false
    /// Of files under .werf that are read from the work tree.
    var uncommittedTemplates = PathGlobs()
    /// Of files that `.Files` reads from the work tree.
    var uncommittedFiles = PathGlobs()
    /// Names, or regular expressions between slashes, of variables that `env` may read.
    var templateVariables: [VariablePattern] = []
    var secretVariables: Set<String> = []
    /// Of the files whose contents may be secrets.
    var secretFiles: [String] = []
    var secretValues: Set<String> = []
    var latestBase = false
    var buildDirectories = false
    /// Of the agents' paths.
    var hostPaths: [String] = []
    var uncommittedDockerfiles = PathGlobs()
    var uncommittedDockerignores = PathGlobs()

    /// Where it is in a project.
    static let file = "werf-giterminism.yaml"

    init(isLoose: Bool = false) { self.isLoose = isLoose }

    /// Reads the file. Throws ``ClientError`` that names the line, what is wrong there, and what was expected.
    init(parsing text: String) throws(ClientError) {
        let root = try YAMLReader(file: Self.file).mapping(of: text)
        guard try root.take("giterminismConfigVersion")?.text() == "1" else {
            throw root.failure("'giterminismConfigVersion: 1' is missing")
        }
        if let cli = try root.take("cli")?.mapping() {
            // Tags are the registry's, and Helm's charts are not built here.
            _ = try cli.take("allowCustomTags")?.bool()
            try cli.finish()
        }
        if let helm = try root.take("helm")?.mapping() {
            _ = try helm.take("allowUncommittedFiles")?.list()
            try helm.finish()
        }
        if let includes = try root.take("includes")?.mapping() {
            _ = try includes.take("allowIncludesUpdate")?.bool()
            try includes.finish()
        }
        if let config = try root.take("config")?.mapping() { try read(config) }
        try root.finish()
    }

    private mutating func read(_ config: YAMLMapping) throws(ClientError) {
        uncommittedConfig = try config.take("allowUncommitted")?.bool() ?? false
        uncommittedTemplates = try Self.globs(config.take("allowUncommittedTemplates"))
        if let rendering = try config.take("goTemplateRendering")?.mapping() {
            uncommittedFiles = try Self.globs(rendering.take("allowUncommittedFiles"))
            for entry in try rendering.take("allowEnvVariables")?.list() ?? [] {
                templateVariables.append(try VariablePattern(entry))
            }
            try rendering.finish()
        }
        if let secrets = try config.take("secrets")?.mapping() {
            secretVariables = Set(try secrets.take("allowEnvVariables")?.texts() ?? [])
            secretFiles = try secrets.take("allowFiles")?.texts() ?? []
            secretValues = Set(try secrets.take("allowValueIds")?.texts() ?? [])
            try secrets.finish()
        }
        if let stapel = try config.take("stapel")?.mapping() {
            latestBase = try stapel.take("allowFromLatest")?.bool() ?? false
            if let git = try stapel.take("git")?.mapping() {
                _ = try git.take("allowBranch")?.bool()
                try git.finish()
            }
            if let mount = try stapel.take("mount")?.mapping() {
                buildDirectories = try mount.take("allowBuildDir")?.bool() ?? false
                hostPaths = try mount.take("allowFromPaths")?.texts() ?? []
                try mount.finish()
            }
            try stapel.finish()
        }
        if let dockerfile = try config.take("dockerfile")?.mapping() {
            uncommittedDockerfiles = try Self.globs(dockerfile.take("allowUncommitted"))
            uncommittedDockerignores = try Self.globs(dockerfile.take("allowUncommittedDockerignoreFiles"))
            _ = try dockerfile.take("allowContextAddFiles")?.list()
            try dockerfile.finish()
        }
        try config.finish()
    }

    private static func globs(_ value: YAMLValue?) throws(ClientError) -> PathGlobs {
        guard let value else { return PathGlobs() }
        let patterns = try value.texts()
        do throws(IgnoreFileError) {
            return try PathGlobs(patterns)
        } catch {
            throw value.failure("a glob is wrong: \(error.reason)")
        }
    }
}
