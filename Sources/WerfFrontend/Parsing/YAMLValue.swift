import Yams

/// A value of the file with its place: what is left of YAML once aliases and merge keys are resolved.
struct YAMLValue {
    enum Content {
        case null
        /// `isText` is false for what YAML takes for a number or a truth value when it stands without quotes.
        case scalar(String, isText: Bool)
        case list([YAMLValue])
        case mapping([Entry])
    }

    struct Entry {
        var key: String
        var line: Int
        var value: YAMLValue
    }

    /// From 1, in the whole stream of documents.
    var line: Int
    var content: Content

    /// For messages: what it is, where something else was expected.
    var described: String {
        switch content {
        case .null: "nothing"
        case .scalar(let text, _): "'\(text.prefix(Self.shownCharacters))'"
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }

    /// Of all texts in it.
    var bytes: Int {
        switch content {
        case .null: 0
        case .scalar(let text, _): text.utf8.count
        case .list(let items): items.reduce(0) { $0 + $1.bytes }
        case .mapping(let entries): entries.reduce(0) { $0 + $1.key.utf8.count + $1.value.bytes }
        }
    }

    /// As much of a wrong value as a message shows.
    private static let shownCharacters = 60
}

/// Reads the documents of a YAML stream.
struct YAMLReader {
    /// Longer files are refused; real ones have some kilobytes.
    static let maximumBytes = 4 << 20
    /// With all aliases resolved: a few lines of aliases of aliases could mean any number.
    static let maximumValues = 200_000
    /// werf's own deepest directive stands eight deep.
    static let maximumDepth = 64

    let file: String
    private var values = 0

    init(file: String) { self.file = file }

    /// Every document that is not empty.
    mutating func documents(_ text: String) throws(WerfError) -> [YAMLValue] {
        guard text.utf8.count <= Self.maximumBytes else {
            throw WerfError(
                file: file, line: nil, message: "the file has \(text.utf8.count) bytes: expected at most \(Self.maximumBytes)")
        }
        try AliasGuard(text).check(file: file)
        var result: [YAMLValue] = []
        for root in try nodes(text) {
            let value = try value(of: root, depth: 0)
            if case .null = value.content { continue }
            result.append(value)
        }
        return result
    }

    private func nodes(_ text: String) throws(WerfError) -> [Node] {
        do {
            let parser = try Parser(yaml: text, encoding: .utf8)
            var nodes: [Node] = []
            while let node = try parser.nextRoot() { nodes.append(node) }
            return nodes
        } catch {
            throw Self.error(error, file: file)
        }
    }

    private static func error(_ error: any Error, file: String) -> WerfError {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _)?, .parser(_, let problem, let mark, _)?, .composer(_, let problem, let mark, _)?:
            WerfError(file: file, line: mark.line, message: "not YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context)?:
            WerfError(
                file: file, line: context.mark.line,
                message: "'\(keys.first ?? "")' is given twice in one mapping: expected each directive once")
        case .reader(let problem, _, _, _)?: WerfError(file: file, line: nil, message: "not YAML: \(problem)")
        default: WerfError(file: file, line: nil, message: "not YAML")
        }
    }

    private mutating func value(of node: Node, depth: Int) throws(WerfError) -> YAMLValue {
        values += 1
        let line = node.mark?.line ?? 1
        guard values <= Self.maximumValues else {
            throw WerfError(file: file, line: line, message: "with its aliases the file has more than \(Self.maximumValues) values")
        }
        guard depth <= Self.maximumDepth else {
            throw WerfError(file: file, line: line, message: "values stand in each other deeper than \(Self.maximumDepth)")
        }
        switch node {
        case .scalar(let scalar):
            if scalar.style == .plain || scalar.style == .any {
                let tag = Resolver.default.resolveTag(of: node)
                if tag == .null { return YAMLValue(line: line, content: .null) }
                return YAMLValue(line: line, content: .scalar(scalar.string, isText: tag != .int && tag != .float && tag != .bool))
            }
            return YAMLValue(line: line, content: .scalar(scalar.string, isText: true))
        case .sequence(let sequence):
            var list: [YAMLValue] = []
            for item in sequence { list.append(try value(of: item, depth: depth + 1)) }
            return YAMLValue(line: line, content: .list(list))
        case .mapping(let mapping): return YAMLValue(line: line, content: .mapping(try entries(of: mapping, depth: depth)))
        case .alias: throw WerfError(file: file, line: line, message: "an alias names nothing")
        }
    }

    // `<<` brings in what another mapping has; what the mapping itself says counts before it.
    private mutating func entries(of mapping: Node.Mapping, depth: Int) throws(WerfError) -> [YAMLValue.Entry] {
        var own: [YAMLValue.Entry] = []
        var merged: [YAMLValue.Entry] = []
        for (key, node) in mapping {
            let line = key.mark?.line ?? 1
            guard case .scalar(let name) = key else {
                throw WerfError(file: file, line: line, message: "a directive's name must be plain text")
            }
            let value = try value(of: node, depth: depth + 1)
            guard name.string == "<<", name.style == .plain else {
                own.append(YAMLValue.Entry(key: name.string, line: line, value: value))
                continue
            }
            switch value.content {
            case .mapping(let entries): merged += entries
            case .list(let list):
                for item in list {
                    guard case .mapping(let entries) = item.content else {
                        throw WerfError(file: file, line: line, message: "'<<' expects a mapping or a list of mappings")
                    }
                    merged += entries
                }
            default: throw WerfError(file: file, line: line, message: "'<<' expects a mapping or a list of mappings")
            }
        }
        var names = Set(own.map(\.key))
        return own + merged.filter { names.insert($0.key).inserted }
    }
}
