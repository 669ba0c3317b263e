import Glibc
import GoTemplate

/// werf.yaml as a template, carried out with what the project and the user allow it to see.
struct WerfRendering: Sendable {
    /// For messages: the file's name in the project.
    var name: String
    /// Before and after.
    var template: String
    var text: String

    /// What errors in the rendered text name: its lines are not those of the file where an action made more or fewer of them.
    var nameForLines: String { Self.lines(template) == Self.lines(text) ? name : "\(name) (rendered)" }

    private static let templates = ".werf"

    /// Renders a file of the project. Blocks. Throws ``ClientError`` with the place of what is wrong.
    init(
        _ name: String, files: ProjectFiles, rules: Giterminism, commit: GitRepository.Commit?, environmentName: String,
        environment: [String: String]
    ) throws(ClientError) {
        self.name = name
        guard let template = try files.text(name, uncommitted: rules.uncommittedConfig) else {
            throw .failed(
                files.committed == nil
                    ? "\(name) does not exist"
                    : "\(name) is not in the commit: add and commit it, or build the folder as it is by --loose")
        }
        self.template = template
        var parts: [(name: String, text: String)] = [(name, template)]
        for path in try files.paths(below: Self.templates, uncommitted: rules.uncommittedTemplates) where path.hasSuffix(".tmpl") {
            guard let text = try files.text(path, uncommitted: rules.uncommittedTemplates.contains(path)) else { continue }
            parts.append((String(path.dropFirst(Self.templates.count + 1)), text))
        }
        do {
            text = try WerfTemplate(files: parts, main: name).render(
                Self.context(files, rules, commit, environmentName: environmentName, environment: environment))
        } catch {
            throw .failed("\(error)")
        }
    }

    private static func context(
        _ files: ProjectFiles, _ rules: Giterminism, _ commit: GitRepository.Commit?, environmentName: String,
        environment: [String: String]
    ) -> TemplateContext {
        var context = TemplateContext(environmentName: environmentName, branch: commit?.branch, tag: commit?.tag, isLoose: rules.isLoose)
        context.commit = commit.map { TemplateContext.Commit(hash: $0.hash, unixTime: $0.seconds) }
        context.variable = { name in
            guard rules.isLoose || rules.templateVariables.contains(where: { $0.allows(name) }) else {
                throw ClientError.failed(
                    "the environment variable \(Printable.line(name)) is not allowed by giterminism: list it in "
                        + "config.goTemplateRendering.allowEnvVariables of \(Giterminism.file), or use --loose")
            }
            return environment[name]
        }
        context.paths = { try files.paths(uncommitted: rules.uncommittedFiles) }
        context.contents = { path in
            guard let bytes = try files.bytes(path, uncommitted: rules.uncommittedFiles.contains(path)) else {
                throw ClientError.failed("\(Printable.line(path)) is not in the project")
            }
            return bytes
        }
        // A moment is as little of the commit as a variable is.
        if rules.isLoose { context.now = { TemplateContext.Moment(unixTime: Int64(time(nil))) } }
        return context
    }

    private static func lines(_ text: String) -> Int { text.utf8.count { $0 == UInt8(ascii: "\n") } }
}
