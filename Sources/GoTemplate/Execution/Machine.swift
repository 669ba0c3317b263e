/// One rendering: the templates, what was spent of the bounds, and what was printed.
///
/// Used by one caller from start to end; ``finish()`` breaks the cycles that maps may have formed.
final class Machine {
    let context: TemplateContext
    private(set) var templates: [String: TemplateDefinition]
    /// What the template under way has printed; `include` takes it aside.
    var output: Bytes = []
    var depth = 0
    /// Compiled expressions: templates use the same ones in loops.
    var expressions: [Bytes: RegularExpression] = [:]
    /// The context's paths, asked for once.
    var knownPaths: [String]?
    private var steps = 0
    private var allocated = 0
    private var maps: [MapValue] = []

    init(templates: [String: TemplateDefinition], context: TemplateContext) {
        self.templates = templates
        self.context = context
    }

    /// Empties all maps: no value of this rendering may be used any more.
    func finish() {
        for map in maps { map.removeAll() }
        maps = []
    }

    // MARK: Bounds

    /// Counts work; throws when it does not seem to end.
    func spend(_ count: Int = 1) throws {
        steps += count
        if steps > Limits.steps {
            throw Complaint(
                "the template does not end within \(Limits.steps) steps: look for a range or a recursion without an end", isLimit: true)
        }
    }

    /// Counts bytes that are made, before they are.
    func allocate(_ bytes: Int) throws {
        guard bytes <= Limits.valueBytes else {
            throw Complaint("a value of \(bytes) bytes is too large: \(Limits.valueBytes) are allowed", isLimit: true)
        }
        allocated += bytes
        if allocated > Limits.allocatedBytes {
            throw Complaint("the template's values take more than \(Limits.allocatedBytes >> 20) MiB together", isLimit: true)
        }
    }

    func checkDepth(of depth: Int) throws {
        guard depth <= Limits.valueDepth else {
            throw Complaint("a value is nested deeper than \(Limits.valueDepth) levels, or contains itself", isLimit: true)
        }
    }

    /// Runs something one level deeper.
    func deeper<Result>(_ body: () throws -> Result) throws -> Result {
        guard depth < Limits.depth else {
            throw Complaint(
                "templates call each other deeper than \(Limits.depth) levels: look for a recursion without an end", isLimit: true)
        }
        depth += 1
        defer { depth -= 1 }
        return try body()
    }

    func write(_ text: Bytes) throws {
        guard output.count + text.count <= Limits.outputBytes else {
            throw Complaint("the template prints more than \(Limits.outputBytes >> 20) MiB", isLimit: true)
        }
        output += text
    }

    // MARK: Values

    func makeText(_ text: Bytes) throws -> Value {
        try allocate(text.count)
        return .text(text)
    }

    func makeList(_ elements: [Value], _ type: ListValue.ElementType = .any) throws -> Value {
        guard elements.count <= Limits.listElements else {
            throw Complaint("a list of \(elements.count) elements is too long: \(Limits.listElements) are allowed", isLimit: true)
        }
        try allocate(elements.count * Limits.elementBytes)
        try spend(elements.count / 8)
        let list = ListValue(elements, type)
        try checkDepth(of: list.depth)
        return .list(list)
    }

    func makeList(texts: [Bytes]) throws -> Value {
        try allocate(texts.reduce(0) { $0 + $1.count })
        return try makeList(texts.map { .text($0) }, .text)
    }

    func makeMap(isOfTexts: Bool = false) throws -> MapValue {
        try allocate(2 * Limits.elementBytes)
        let map = MapValue(isOfTexts: isOfTexts)
        maps.append(map)
        return map
    }

    func set(_ map: MapValue, _ key: Bytes, _ value: Value) throws {
        try allocate(key.count + 2 * Limits.elementBytes)
        try spend()
        map[key] = value
    }

    /// A map's keys in order; sorting counts.
    func sortedKeys(_ map: MapValue) throws -> [Bytes] {
        try spend(map.count)
        return map.sortedKeys
    }

    // MARK: Templates

    func template(named name: String) throws -> TemplateDefinition {
        guard let template = templates[name] else {
            throw Complaint("template \(Quoting.quoted(Array(name.utf8)).string) not defined")
        }
        return template
    }

    /// Adds what a text defines; of two definitions of a name the later one counts, unless it is empty.
    func add(_ definitions: [TemplateDefinition]) {
        for definition in definitions { templates.add(definition) }
    }
}

extension [String: TemplateDefinition] {
    mutating func add(_ definition: TemplateDefinition) {
        if definition.isEmpty, let known = self[definition.name], !known.isEmpty { return }
        self[definition.name] = definition
    }
}
