/// A werf.yaml and the templates beside it, read and ready to be rendered.
///
/// The language is Go's text/template with the functions of sprig and of werf; docs/werf-templates.md has what differs. Rendering
/// has bounds of time, memory and depth, so that any text may be given to it.
public struct WerfTemplate: Sendable {
    private let templates: [String: TemplateDefinition]
    private let main: TemplateDefinition

    /// Reads all files; a mistake in any of them is an error.
    ///
    /// - Parameters:
    ///   - files: every file's name and text. The name of a file under `.werf` is its path relative to that folder; `include` and
    ///     `template` know it by that. Of two definitions of a name the one in the later file counts, the main file's last.
    ///   - main: the name of the file that is rendered.
    public init(files: [(name: String, text: String)], main: String) throws(TemplateError) {
        guard let mainFile = files.last(where: { $0.name == main }) else {
            throw TemplateError(file: main, line: 1, column: 0, message: "there is no such file")
        }
        var size = 0
        var templates: [String: TemplateDefinition] = [:]
        func read(_ file: (name: String, text: String)) throws(TemplateError) -> TemplateDefinition? {
            let source = TemplateSource(name: file.name, bytes: Array(file.text.utf8))
            size += source.bytes.count
            guard size <= Limits.sourceBytes else {
                throw source.error(at: 0, "the templates have more than \(Limits.sourceBytes >> 20) MiB together")
            }
            let definitions = try Parser.definitions(of: source, knows: Registry.knows)
            for definition in definitions { templates.add(definition) }
            return definitions.first
        }
        for file in files where file.name != main { _ = try read(file) }
        guard let definition = try read(mainFile) else {
            throw TemplateError(file: main, line: 1, column: 0, message: "there is no such file")
        }
        self.templates = templates
        self.main = definition
    }

    /// The main file with its actions carried out. Takes no more than about a second, whatever the template.
    public func render(_ context: TemplateContext) throws(TemplateError) -> String {
        let machine = Machine(templates: templates, context: context)
        defer { machine.finish() }
        do {
            try Execution.run(main, try Self.data(context, machine), on: machine)
            return machine.output.string
        } catch let error as TemplateError {
            throw error
        } catch let complaint as Complaint {
            throw main.source.error(at: 0, complaint.message)
        } catch {
            throw main.source.error(at: 0, "\(error)")
        }
    }

    /// What the dot is at the start.
    private static func data(_ context: TemplateContext, _ machine: Machine) throws -> Value {
        func map(_ entries: [(String, Value)]) throws -> Value {
            let map = try machine.makeMap()
            for (key, value) in entries { try machine.set(map, Array(key.utf8), value) }
            return .map(map)
        }
        var entries: [(String, Value)] = [("Files", .files), ("Env", .text(context.environmentName))]
        if let commit = context.commit {
            let date = try map([
                ("Human", .text(Moment(seconds: commit.unixTime).description)), ("Unix", .text(String(commit.unixTime))),
            ])
            entries.append(("Commit", try map([("Hash", .text(commit.hash)), ("Date", date)])))
        }
        if let branch = context.branch { entries.append(("Branch", .text(branch))) }
        if let tag = context.tag { entries.append(("Tag", .text(tag))) }
        return try map(entries)
    }
}
