import Yams

/// The YAML of a configuration: one mapping from names to scalars.
enum ConfigurationFile {
    /// The file's settings in its order. An empty file has none.
    static func read(_ text: String, name: String) throws(ConfigurationError) -> [(key: String, value: String)] {
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            throw .unreadable(file: name, reason: "not YAML: \(error)")
        }
        guard let root else { return [] }
        if let scalar = root.scalar, scalar.string.isEmpty { return [] }
        guard let mapping = root.mapping else { throw .unreadable(file: name, reason: "expected lines of the form `name: value`") }
        var settings: [(key: String, value: String)] = []
        for (key, value) in mapping {
            guard let key = key.scalar?.string else { throw .unreadable(file: name, reason: "a setting's name must be plain text") }
            guard let value = value.scalar?.string else {
                throw .unreadable(file: name, reason: "'\(key)' must have one plain value")
            }
            guard !settings.contains(where: { $0.key == key }) else {
                throw .unreadable(file: name, reason: "'\(key)' is given twice")
            }
            settings.append((key, value))
        }
        return settings
    }
}
