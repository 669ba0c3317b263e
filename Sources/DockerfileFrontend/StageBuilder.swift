import BuildPlan

/// Carries out a stage's instructions on an image configuration: what is left are steps.
struct StageBuilder {
    private(set) var config: ImageConfig
    private(set) var history: [HistoryEntry]
    var scope: Scope
    private(set) var operations: [(operation: Operation, text: String, lines: ClosedRange<Int>)] = []

    let graph: StageGraph
    let node: StageGraph.Node
    private let base: StageBase
    private let positions: [Int: Int]
    private let images: [String: BaseImage]
    /// ENTRYPOINT takes away an inherited CMD, but not one of this stage.
    private var hasCommand = false
    private let budget: ExpansionBudget

    static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    /// Arguments of one EXPOSE: each may be a range of all ports.
    static let maximumPorts = 200
    static let defaultShell = ["/bin/sh", "-c"]
    /// Where a script of a RUN heredoc is mounted, by its name, read-only and executable.
    static let scriptFolder = "/dev/pipes"

    /// - Parameters:
    ///   - positions: from a stage's number in the file to its number in the plan.
    ///   - built: the stages of the plan so far.
    init(
        _ node: StageGraph.Node, graph: StageGraph, positions: [Int: Int], images: [String: BaseImage], built: [StageBuilder],
        budget: ExpansionBudget
    ) throws(DockerfileError) {
        self.node = node
        self.graph = graph
        self.positions = positions
        self.images = images
        self.budget = budget
        var arguments: [Pair] = []
        history = []
        config = ImageConfig()
        switch node.base {
        case .scratch: base = .scratch
        case .stage(let index):
            let position = positions[index] ?? 0
            base = .stage(position)
            config = built[position].config
            history = built[position].history
            arguments = built[position].scope.arguments
        case .image(let name):
            guard let image = images[name] else {
                throw DockerfileError(
                    file: graph.file.name, message: "base image '\(name)' was not found", lines: node.definition.from.lines)
            }
            base = .image(name)
            config = image.config
            history = image.history
        }
        // They run now and are not handed on.
        config.onBuild = []
        if config.environment("PATH") == nil { config.setEnvironment("PATH", Self.defaultPath) }
        scope = Scope(environment: config.env, arguments: arguments)
    }

    /// Carries out every instruction.
    mutating func run() throws(DockerfileError) {
        for instruction in node.instructions {
            do throws(Complaint) {
                if let refusal = instruction.refusal { throw Complaint(refusal) }
                try apply(instruction)
            } catch {
                throw DockerfileError(file: graph.file.name, message: error.message, lines: instruction.lines)
            }
        }
        config.env = scope.environment
    }

    /// The result.
    var stage: Stage {
        let definition = node.definition
        let first = if case .image = base { 2 } else { 1 }
        let total = operations.count + first - 1
        let width = String(total).utf8.count
        let showsName = graph.file.stages.count > 1 || definition.givenName != nil
        let steps = operations.enumerated().map { index, step in
            let number = String(index + first)
            let padded = String(repeating: " ", count: max(0, width - number.utf8.count)) + number
            return Step(
                name: "[\(showsName ? definition.name + " " : "")\(padded)/\(total)] \(step.text)", operation: step.operation,
                lines: step.lines)
        }
        return Stage(name: definition.name, base: base, steps: steps, config: config, history: history)
    }

    private mutating func apply(_ instruction: Instruction) throws(Complaint) {
        switch instruction.kind {
        case .from: break
        case .arg(let definitions): try apply(definitions)
        case .env(let pairs, _):
            let pairs = try expand(pairs)
            for pair in pairs { scope.setEnvironment(pair) }
            record("ENV " + pairs.map { "\($0.name)=\($0.value)" }.joined(separator: " "))
        case .label(let pairs):
            let pairs = try expand(pairs)
            for pair in pairs { config.labels[pair.name] = pair.value }
            record("LABEL " + pairs.map { "\($0.name)=\($0.value)" }.joined(separator: " "))
        case .run(let run): try apply(run, instruction)
        case .copy(let copy): try apply(copy, instruction)
        case .workdir(let text): try applyWorkdir(text, instruction)
        case .user(let text):
            let user = try expand(text)
            config.user = user.isEmpty ? nil : user
            record("USER \(user)")
        case .shell(let words):
            config.shell = words
            record("SHELL \(JSONText.array(words))")
        case .cmd(let line):
            config.cmd = command(line)
            hasCommand = true
            record("CMD \(JSONText.array(config.cmd ?? []))")
        case .entrypoint(let line):
            config.entrypoint = command(line)
            if !hasCommand { config.cmd = nil }
            record("ENTRYPOINT \(JSONText.array(config.entrypoint ?? []))")
        case .expose(let text): try applyExpose(text)
        case .volume(let paths): try applyVolume(paths)
        case .stopSignal(let text):
            let signal = try expand(text)
            guard StopSignal.isKnown(signal) else {
                throw Complaint("STOPSIGNAL \(signal): expected a signal like SIGTERM or a number from 1 to 64")
            }
            config.stopSignal = signal
            record("STOPSIGNAL \(signal)")
        case .healthcheck(let check):
            let result = check.value
            config.healthcheck = result
            record("HEALTHCHECK \(JSONText.array(result.test))")
        case .maintainer(let author):
            config.author = author
            record("MAINTAINER \(author)")
        case .onBuild(let text):
            config.onBuild.append(text)
            record("ONBUILD \(text)")
        }
    }

    // MARK: Variables

    /// Expands variables, quotes and escapes.
    func expand(_ text: String) throws(Complaint) -> String {
        let result = try Expansion(escape: graph.file.escape) { scope[$0] }.word(text)
        try budget.spend(result)
        return result
    }

    /// Expands variables in a heredoc, where quotes are ordinary and the escape character is always a backslash.
    func expandHeredoc(_ text: String) throws(Complaint) -> String {
        let result = try Expansion(escape: UInt8(ascii: "\\"), ignoresQuotes: true) { scope[$0] }.word(text)
        try budget.spend(result)
        return result
    }

    private func expandToWords(_ text: String) throws(Complaint) -> [String] {
        let result = try Expansion(escape: graph.file.escape) { scope[$0] }.words(text)
        for word in result { try budget.spend(word) }
        return result
    }

    // All of a line's values see the variables as they were before it.
    private func expand(_ pairs: [Pair]) throws(Complaint) -> [Pair] {
        var result: [Pair] = []
        for pair in pairs {
            let name = try expand(pair.name)
            guard !name.isEmpty else { throw Complaint("'\(pair.name)=\(pair.value)': the name is empty") }
            result.append(Pair(name: name, value: try expand(pair.value)))
        }
        return result
    }

    private mutating func apply(_ definitions: [Definition]) throws(Complaint) {
        var shown: [String] = []
        var values: [Pair] = []
        for definition in definitions {
            let name = try expand(definition.name)
            var value = graph.options.buildArguments[name]
            if value == nil {
                if let text = definition.value { value = try expand(text) } else { value = graph.globals[name] }
            }
            shown.append(value.map { "\(name)=\($0)" } ?? name)
            if let value { values.append(Pair(name: name, value: value)) }
        }
        for pair in values { scope.setArgument(pair) }
        record("ARG " + shown.joined(separator: " "))
    }

    // MARK: Results

    /// An entry without a layer.
    mutating func record(_ text: String) {
        history.append(HistoryEntry(createdBy: text, author: config.author, emptyLayer: true))
    }

    /// A step, and its entry.
    mutating func add(_ operation: Operation, text: String, history createdBy: String, _ instruction: Instruction) {
        operations.append((operation, text, instruction.lines))
        history.append(HistoryEntry(createdBy: createdBy, author: config.author, emptyLayer: false))
    }

    /// The directory that relative paths join.
    var workingDirectory: String { CleanPath.join("/", config.workingDirectory ?? "/") }

    /// What a command line's shell form runs by.
    func command(_ line: CommandLine) -> [String]? {
        switch line {
        case .shell(let text): (config.shell ?? Self.defaultShell) + [text]
        case .exec(let words): words.isEmpty ? nil : words
        }
    }

    /// What `--from` names, by the plan's numbers; the context where nothing is named.
    func tree(_ name: String?) throws(Complaint) -> TreeSource {
        guard let name else { return .context }
        switch try graph.tree(name) {
        case .stage(let index):
            guard let position = positions[index] else { throw Complaint("stage '\(name)' has no plan") }
            return .stage(position)
        case .image(let image):
            guard images[image] != nil else { throw Complaint("image '\(image)' was not found: it is read here by from") }
            return .image(image)
        case .context: return .context
        }
    }

    private mutating func applyWorkdir(_ text: String, _ instruction: Instruction) throws(Complaint) {
        let path = try expand(text)
        guard !path.isEmpty else { throw Complaint("WORKDIR \(text): the path is empty") }
        let directory = CleanPath.join(workingDirectory, path)
        config.workingDirectory = directory
        if directory == "/" {
            record("WORKDIR /")
        } else {
            add(.makeDirectory(path: directory), text: "WORKDIR \(directory)", history: "WORKDIR \(directory)", instruction)
        }
    }

    private mutating func applyExpose(_ text: String) throws(Complaint) {
        var ports = Set(config.exposedPorts)
        let words = try expandToWords(text)
        guard words.count <= Self.maximumPorts else {
            throw Complaint("EXPOSE has \(words.count) arguments: expected at most \(Self.maximumPorts)")
        }
        guard !words.isEmpty else { throw Complaint("EXPOSE \(text): no port is left after expansion") }
        for word in words { ports.formUnion(try PortRange.ports(word)) }
        config.exposedPorts = ports.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        record("EXPOSE " + words.joined(separator: " "))
    }

    private mutating func applyVolume(_ paths: [String]) throws(Complaint) {
        var volumes = Set(config.volumes)
        var shown: [String] = []
        for text in paths {
            let path = try expand(text)
            guard path.begins(with: "/") else { throw Complaint("VOLUME \(text): '\(path)' is not an absolute path") }
            volumes.insert(path)
            shown.append(path)
        }
        config.volumes = volumes.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        record("VOLUME \(JSONText.array(shown))")
    }
}
