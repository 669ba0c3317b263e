import Glibc
import Yams

/// The YAML file of a daemon's settings: one mapping from names to scalars.
enum SettingsFile {
    /// Bytes; a file of all settings with much to say about each has a few thousand.
    private static let limit = 1 << 20

    /// The file's settings in its order. An empty file has none.
    ///
    /// - Parameter mappings: settings that may also be a mapping, which is read as `NAME=VALUE,NAME=VALUE`.
    static func parse(_ text: String, name: String, mappings: Set<String>) throws(ConfigurationError) -> [(key: String, value: String)] {
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
            guard !settings.contains(where: { $0.key == key }) else {
                throw .unreadable(file: name, reason: "'\(key)' is given twice")
            }
            if let value = value.scalar?.string {
                settings.append((key, value))
            } else if mappings.contains(key), let pairs = value.mapping {
                settings.append((key, try joined(pairs, of: key, name)))
            } else {
                throw .unreadable(file: name, reason: "'\(key)' must have one plain value")
            }
        }
        return settings
    }

    private static func joined(_ mapping: Node.Mapping, of key: String, _ file: String) throws(ConfigurationError) -> String {
        var pairs: [String] = []
        for (name, value) in mapping {
            guard let name = name.scalar?.string, let value = value.scalar?.string else {
                throw .unreadable(file: file, reason: "'\(key)' must be a mapping of plain values")
            }
            pairs.append("\(name)=\(value)")
        }
        return pairs.joined(separator: ",")
    }

    /// The file's text. Blocks.
    static func text(of path: String) throws(ConfigurationError) -> String {
        guard let file = fopen(path, "re") else { throw .unreadable(file: path, reason: String(cString: strerror(errno))) }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = bytes.withUnsafeMutableBytes { fread($0.baseAddress, 1, limit, file) }
        guard ferror(file) == 0 else { throw .unreadable(file: path, reason: "it can't be read") }
        guard count < limit else { throw .unreadable(file: path, reason: "it is larger than \(limit) bytes") }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
