import Yams

/// Reads a YAML file strictly: every key must be asked for, and every error names its line.
struct YAMLReader {
    /// For messages.
    let file: String

    /// Real files have some hundred lines.
    private static let sizeLimit = 1 << 20

    /// The mapping that the text is; an empty text is an empty one.
    func mapping(of text: String) throws(ClientError) -> YAMLMapping {
        guard text.utf8.count <= Self.sizeLimit else { throw .failed("\(file): more than \(Self.sizeLimit) bytes") }
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw .failed("\(file)\(Self.line(of: error)): \(Self.reason(of: error))")
        } catch {
            throw .failed("\(file): \(Printable.line("\(error)"))")
        }
        guard let node, !node.isNull else { return YAMLMapping(file: file, line: 1, mapping: Node.Mapping([])) }
        return try YAMLValue(file: file, line: 1, node: node, name: "the file").mapping()
    }

    private static func line(of error: YamlError) -> String {
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): ":\(mark.line)"
        case .duplicatedKeysInMapping(_, let context): ":\(context.mark.line)"
        default: ""
        }
    }

    private static func reason(of error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, _, _), .parser(_, let problem, _, _), .composer(_, let problem, _, _): problem
        case .duplicatedKeysInMapping(let keys, _): "'\(keys.map { Printable.line("\($0)") }.joined(separator: "', '"))' stands there twice"
        default: Printable.line("\(error)")
        }
    }
}

/// A mapping whose keys are taken one by one.
final class YAMLMapping {
    private let file: String
    private let line: Int
    private var rest: [(key: String, line: Int, value: YAMLValue)] = []
    private var known: [String] = []

    fileprivate init(file: String, line: Int, mapping: Node.Mapping) {
        self.file = file
        self.line = line
        for (key, value) in mapping {
            let name = key.scalar?.string ?? "a key that is no text"
            let keyLine = key.scalar?.mark?.line ?? line
            rest.append((name, keyLine, YAMLValue(file: file, line: keyLine, node: value, name: "'\(Printable.line(name))'")))
        }
    }

    /// The value of a key; nil where it is not there, or null.
    func take(_ key: String) throws(ClientError) -> YAMLValue? {
        known.append(key)
        guard let index = rest.firstIndex(where: { $0.key == key }) else { return nil }
        let value = rest.remove(at: index).value
        return value.node.isNull ? nil : value
    }

    /// Throws where there is a key that was not asked for.
    func finish() throws(ClientError) {
        guard let unknown = rest.first else { return }
        throw .failed(
            "\(file):\(unknown.line): unknown key '\(Printable.line(unknown.key))': expected one of \(known.joined(separator: ", "))")
    }

    func failure(_ message: String) -> ClientError { .failed("\(file):\(line): \(message)") }
}

/// A value with its place.
struct YAMLValue {
    fileprivate let file: String
    fileprivate let line: Int
    fileprivate let node: Node
    fileprivate let name: String

    func failure(_ message: String) -> ClientError { .failed("\(file):\(line): \(name): \(message)") }

    func mapping() throws(ClientError) -> YAMLMapping {
        guard let mapping = node.mapping else { throw failure("expected a mapping") }
        return YAMLMapping(file: file, line: mapping.mark?.line ?? line, mapping: mapping)
    }

    func list() throws(ClientError) -> [YAMLValue] {
        guard let sequence = node.sequence else { throw failure("expected a list") }
        return sequence.map { YAMLValue(file: file, line: $0.mark?.line ?? line, node: $0, name: name) }
    }

    func text() throws(ClientError) -> String {
        guard let scalar = node.scalar else { throw failure("expected a text") }
        return scalar.string
    }

    func texts() throws(ClientError) -> [String] {
        var texts: [String] = []
        for element in try list() { texts.append(try element.text()) }
        return texts
    }

    func bool() throws(ClientError) -> Bool {
        guard node.scalar != nil, let value = node.bool else { throw failure("expected true or false") }
        return value
    }
}

extension Node {
    fileprivate var isNull: Bool { null != nil }
}
