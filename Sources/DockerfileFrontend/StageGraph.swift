import BuildPlan

/// Which stages the target needs, what each stands on and reads, and an order in which they can be planned.
struct StageGraph {
    /// A stage that is needed; stages are numbered as in the file.
    struct Node {
        let definition: StageDefinition
        let base: StageBase
        /// With the ONBUILD triggers of the base in front.
        let instructions: [Instruction]
        /// Ascending, each once.
        let dependencies: [Int]
    }

    let file: Dockerfile
    let options: FrontendOptions
    let target: Int
    /// ARGs before the first FROM and the predefined ones.
    let globals: [String: String]
    private(set) var nodes: [Int: Node] = [:]
    private let indexesByName: [String: [Int]]

    /// - Parameter images: for their ONBUILD triggers; empty while images are not yet known.
    init(_ file: Dockerfile, options: FrontendOptions, images: [String: BaseImage]) throws(DockerfileError) {
        self.file = file
        self.options = options
        indexesByName = Dictionary(grouping: file.stages.filter { $0.givenName != nil }) { $0.name }.mapValues { $0.map(\.index) }
        target = try Self.target(options.target, file, indexesByName)
        globals = try Self.globals(file, options)
        var count = 0
        var waiting = [target]
        while let index = waiting.popLast() {
            guard nodes[index] == nil else { continue }
            let node = try node(file.stages[index], images)
            nodes[index] = node
            count += node.instructions.count
            guard count <= Dockerfile.maximumInstructions else {
                let message = "the plan has more than \(Dockerfile.maximumInstructions) instructions with ONBUILD triggers"
                throw DockerfileError(file: file.name, message: message, lines: node.definition.from.lines)
            }
            waiting += node.dependencies
        }
    }

    private static func target(_ name: String?, _ file: Dockerfile, _ indexes: [String: [Int]]) throws(DockerfileError) -> Int {
        guard let name else { return file.stages.count - 1 }
        if let index = indexes[name.lowercased()]?.last { return index }
        if name.utf8.allSatisfy(\.isDigit), let index = Int(name), file.stages.indices.contains(index) { return index }
        let message = Complaint(
            "there is no stage '\(name)' to be the target: expected one of \(file.describedStages)", name, among: file.stageNames)
        throw DockerfileError(file: file.name, message: message.message, lines: nil)
    }

    private static func globals(_ file: Dockerfile, _ options: FrontendOptions) throws(DockerfileError) -> [String: String] {
        var values = options.predefined(stage: options.target)
        for instruction in file.globals {
            guard case .arg(let definitions) = instruction.kind else { continue }
            for definition in definitions {
                if let given = options.buildArguments[definition.name] {
                    values[definition.name] = given
                } else if let text = definition.value {
                    let known = values
                    let expansion = Expansion(escape: file.escape) { known[$0] }
                    values[definition.name] = try file.locating(instruction.lines) { () throws(Complaint) in try expansion.word(text) }
                }
            }
        }
        return values
    }

    private func node(_ definition: StageDefinition, _ images: [String: BaseImage]) throws(DockerfileError) -> Node {
        let base = try file.locating(definition.from.lines) { () throws(Complaint) in try resolveBase(of: definition) }
        var dependencies: Set<Int> = []
        var triggers: [String] = []
        switch base {
        case .scratch: break
        case .image(let name): triggers = images[name]?.config.onBuild ?? []
        case .stage(let index):
            dependencies.insert(index)
            triggers = file.stages[index].instructions.compactMap { if case .onBuild(let text) = $0.kind { text } else { nil } }
        }
        var inherited: [Instruction] = []
        for trigger in triggers {
            inherited.append(
                try file.locating(definition.from.lines) { () throws(Complaint) in try self.trigger(trigger, of: definition) })
        }
        let instructions = inherited + definition.instructions
        for instruction in instructions {
            for name in instruction.treeNames {
                let source = try file.locating(instruction.lines) { () throws(Complaint) in try tree(name) }
                if case .stage(let index) = source { dependencies.insert(index) }
            }
        }
        return Node(definition: definition, base: base, instructions: instructions, dependencies: dependencies.sorted())
    }

    private func resolveBase(of stage: StageDefinition) throws(Complaint) -> StageBase {
        let expansion = Expansion(escape: file.escape) { [globals] in globals[$0] }
        if let text = stage.platform {
            let expanded = try expansion.word(text)
            guard let platform = Platform(expanded) else {
                throw Complaint("FROM --platform=\(text): '\(expanded)' is no platform: expected one like linux/amd64")
            }
            guard platform.normalized == options.platform.normalized else {
                throw Complaint(
                    "FROM --platform=\(platform): stages of another platform than the build's (\(options.platform)) are not built yet")
            }
        }
        let name = try expansion.word(stage.image)
        guard !name.isEmpty else {
            throw Complaint("FROM \(stage.image): the base's name is empty; give its ARG a default before the first FROM")
        }
        guard name.utf8.allSatisfy({ !$0.isSpace }) else { throw Complaint("FROM \(stage.image): '\(name)' is no image name") }
        if let index = indexesByName[name.lowercased()]?.last(where: { $0 < stage.index }) { return .stage(index) }
        return name == "scratch" ? .scratch : .image(name)
    }

    private func trigger(_ text: String, of stage: StageDefinition) throws(Complaint) -> Instruction {
        guard let line = LogicalLine.trigger(text, lines: stage.from.lines) else {
            throw Complaint("an ONBUILD trigger of \(stage.image) is empty")
        }
        do throws(Complaint) {
            return try InstructionParser(escape: UInt8(ascii: "\\")).parse(line)
        } catch {
            throw Complaint("ONBUILD trigger '\(text)' of \(stage.image): \(error.message)")
        }
    }

    /// What `--from` names: a stage by number or name (the last of that name in the file), else an image.
    func tree(_ name: String) throws(Complaint) -> TreeSource {
        if name.utf8.allSatisfy(\.isDigit) {
            guard let index = Int(name), file.stages.indices.contains(index) else {
                throw Complaint("there is no stage \(name): expected one of \(file.describedStages)")
            }
            return .stage(index)
        }
        if let index = indexesByName[name.lowercased()]?.last { return .stage(index) }
        guard name != "scratch" else { throw Complaint("from scratch: there is nothing in it to read") }
        guard name.utf8.allSatisfy({ !$0.isSpace }) else { throw Complaint("from '\(name)': expected a stage or an image") }
        return .image(name)
    }

    /// Every needed stage after all that it depends on, otherwise in the order of the file.
    func order() throws(DockerfileError) -> [Int] {
        var placed: Set<Int> = []
        var order: [Int] = []
        var left = nodes.keys.sorted()
        while !left.isEmpty {
            guard let position = left.firstIndex(where: { nodes[$0]?.dependencies.allSatisfy(placed.contains) ?? false }) else {
                let stage = file.stages[left[0]]
                let names = left.map { "'\(file.stages[$0].name)'" }.joined(separator: ", ")
                throw DockerfileError(
                    file: file.name, message: "the stages \(names) need each other in a circle or wait for one", lines: stage.from.lines)
            }
            let index = left.remove(at: position)
            placed.insert(index)
            order.append(index)
        }
        return order
    }

    /// The images that must be there, in the order of the file, each once.
    func images() throws(DockerfileError) -> [String] {
        var found: [String] = []
        for index in nodes.keys.sorted() {
            guard let node = nodes[index] else { continue }
            if case .image(let name) = node.base, !found.contains(name) { found.append(name) }
            for instruction in node.instructions {
                for name in instruction.treeNames {
                    let source = try file.locating(instruction.lines) { () throws(Complaint) in try tree(name) }
                    if case .image(let image) = source, !found.contains(image) { found.append(image) }
                }
            }
        }
        return found
    }
}

extension Dockerfile {
    /// Runs a part and gives what it complains about its place in the file.
    func locating<R>(_ lines: ClosedRange<Int>, _ body: () throws(Complaint) -> R) throws(DockerfileError) -> R {
        do throws(Complaint) {
            return try body()
        } catch {
            throw DockerfileError(file: name, message: error.message, lines: lines)
        }
    }

    fileprivate var describedStages: String {
        let limit = 20
        let names = stages.prefix(limit).map { $0.givenName ?? String($0.index) }.joined(separator: ", ")
        return stages.count > limit ? names + ", …" : names
    }
}

extension Instruction {
    /// What `--from` and `from=` name.
    var treeNames: [String] {
        switch kind {
        case .copy(let copy): copy.from.map { [$0] } ?? []
        case .run(let run): run.mounts.compactMap(\.from)
        default: []
        }
    }
}
