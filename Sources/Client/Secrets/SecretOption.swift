import BuildPlan

/// One `--secret`: an id, and where this machine has its value. The value itself is read when the build is submitted.
public struct SecretOption: Sendable, Hashable {
    /// Where a value comes from.
    public enum Source: Sendable, Hashable {
        /// The environment variable of the secret's id if there is one, else the file of that name.
        case automatic
        case file(String)
        case variable(String)
        /// werf.yaml has the value itself.
        case value(String)
    }

    /// By which `--mount=type=secret` names it.
    public var id: String
    public var source: Source

    /// A secret of its parts.
    public init(id: String, source: Source) {
        self.id = id
        self.source = source
    }

    /// Reads `id=x`, `id=x,src=FILE`, `id=x,env=NAME`, `type=file|env,id=x,source=…`; a field in double quotes may hold commas.
    public init(parsing text: String) throws(ClientError) {
        var values: [String: String] = [:]
        for field in try Self.fields(text) {
            guard let equals = field.firstIndex(of: "=") else { throw .usage("--secret \(text): '\(field)' is no key=value") }
            let key = field[..<equals].lowercased()
            let known = ["id": "id", "src": "source", "source": "source", "env": "env", "type": "type"]
            guard let name = known[key] else { throw .usage("--secret \(text): unknown key '\(key)'; there are id, src, env, type") }
            values[name] = String(field[field.index(after: equals)...])
        }
        guard let id = values["id"], !id.isEmpty, !id.utf8.contains(0) else { throw .usage("--secret \(text): 'id' is missing") }
        let type = values["type"] ?? ""
        guard ["", "file", "env"].contains(type) else { throw .usage("--secret \(text): type=\(type): expected file or env") }
        let (file, variable) = (values["source"] ?? "", values["env"] ?? "")
        guard file.isEmpty || variable.isEmpty else { throw .usage("--secret \(text): 'src' and 'env' exclude each other") }
        guard type != "file" || variable.isEmpty else { throw .usage("--secret \(text): 'env' has no meaning for type=file") }
        if !variable.isEmpty {
            self.init(id: id, source: .variable(variable))
        } else if type == "env" {
            self.init(id: id, source: .variable(file.isEmpty ? id : file))
        } else if !file.isEmpty {
            self.init(id: id, source: .file(file))
        } else {
            self.init(id: id, source: type == "file" ? .file(id) : .automatic)
        }
    }

    // Comma-separated values: quotes are doubled inside of quotes.
    private static func fields(_ text: String) throws(ClientError) -> [String] {
        var fields: [String] = []
        var rest = text[...]
        while true {
            var field = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while true {
                    guard let end = rest.firstIndex(of: "\"") else { throw .usage("--secret \(text): a quoted field is not closed") }
                    field += rest[..<end]
                    rest = rest[rest.index(after: end)...]
                    guard rest.first == "\"" else { break }
                    field += "\""
                    rest = rest.dropFirst()
                }
                guard rest.isEmpty || rest.first == "," else { throw .usage("--secret \(text): expected ',' after a quoted field") }
            } else {
                let end = rest.firstIndex(of: ",") ?? rest.endIndex
                field = String(rest[..<end])
                rest = rest[end...]
            }
            fields.append(field)
            if rest.isEmpty { return fields }
            rest = rest.dropFirst()
        }
    }
}
