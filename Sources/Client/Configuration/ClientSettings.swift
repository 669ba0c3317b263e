import FoundationEssentials
import Transport
import Yams

/// What `client.yaml` says: which farm, and how to show who one is.
public struct ClientSettings: Sendable, Equatable {
    /// Host and port of the coordinator.
    public var host: String
    public var port: Int
    /// PEM file of the farm's authority.
    public var authority: String
    public var certificate: String?
    public var key: String?
    public var token: String?

    /// Where the file is looked for when nothing names it.
    public static let defaultPath = "~/.config/farm/client.yaml"
    /// The coordinator's port where the file names none.
    public static let defaultPort = 7480

    private static let keys = ["authority", "certificate", "coordinator", "key", "token"]

    /// Reads `path`, else `$FARM_CONFIG`, else ``defaultPath``. File names in it are relative to it.
    public static func load(path: String?, environment: [String: String]) throws(ClientError) -> ClientSettings {
        let home = environment["HOME"] ?? "/root"
        let file = path ?? environment["FARM_CONFIG"].flatMap { $0.isEmpty ? nil : $0 } ?? home + defaultPath.dropFirst()
        guard let data = FileManager.default.contents(atPath: file) else {
            throw .configuration(
                "\(file) can't be read: name the farm's client.yaml by --config or FARM_CONFIG ('farm dev' and 'farm-coordinator init' write one)"
            )
        }
        return try parse(String(decoding: data, as: UTF8.self), file: file)
    }

    /// Reads the text of a configuration file; `file` is for messages and for relative names.
    public static func parse(_ text: String, file: String) throws(ClientError) -> ClientSettings {
        let values: [String: String]
        do {
            let loaded = try Yams.load(yaml: text)
            guard let mapping = loaded as? [String: Any] else { throw ClientError.configuration("\(file): expected 'key: value' lines") }
            values = try mapping.mapValues { value in
                guard let text = value as? String else { throw ClientError.configuration("\(file): values are texts, found '\(value)'") }
                return text
            }
        } catch let error as ClientError {
            throw error
        } catch {
            throw .configuration("\(file): not YAML: \(error)")
        }
        for key in values.keys.sorted() where !keys.contains(key) {
            throw .configuration("\(file): unknown key '\(key)'; there are \(keys.joined(separator: ", "))")
        }
        guard let coordinator = values["coordinator"] else { throw .configuration("\(file): 'coordinator: HOST:PORT' is missing") }
        guard let authority = values["authority"] else { throw .configuration("\(file): 'authority: FILE' is missing") }
        guard let address = HostPort(coordinator, defaultPort: defaultPort) else {
            throw .configuration("\(file): 'coordinator: \(coordinator)': expected HOST:PORT")
        }
        guard (values["certificate"] == nil) == (values["key"] == nil) else {
            throw .configuration("\(file): 'certificate' and 'key' go together")
        }
        guard values["certificate"] != nil || values["token"] != nil else {
            throw .configuration("\(file): neither 'certificate' and 'key' nor 'token' is given: the coordinator would refuse us")
        }
        let folder = file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "."
        func resolve(_ name: String) -> String { name.hasPrefix("/") ? name : "\(folder)/\(name)" }
        return ClientSettings(
            host: address.host, port: address.port, authority: resolve(authority), certificate: values["certificate"].map(resolve),
            key: values["key"].map(resolve), token: values["token"])
    }

    /// The TLS side of it.
    public var identity: TLSIdentity { TLSIdentity(certificateFile: certificate, privateKeyFile: key, authorityFile: authority) }
}

/// `HOST:PORT`, `[v6]:PORT` or `https://HOST:PORT`.
public struct HostPort: Sendable, Equatable, CustomStringConvertible {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Nil where the text is none. Without `defaultPort` the port must be there.
    public init?(_ text: String, defaultPort: Int? = nil) {
        var rest = text[...]
        if rest.hasPrefix("https://") { rest = rest.dropFirst("https://".count) }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        var portText: Substring?
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            let after = rest[rest.index(after: end)...]
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            if after.hasPrefix(":") { portText = after.dropFirst() } else if !after.isEmpty { return nil }
        } else if let colon = rest.lastIndex(of: ":") {
            host = String(rest[..<colon])
            portText = rest[rest.index(after: colon)...]
        } else {
            host = String(rest)
        }
        guard !host.isEmpty, !host.contains("/"), !host.contains(" ") else { return nil }
        if let portText {
            guard let port = UInt16(portText) else { return nil }
            self.port = Int(port)
        } else if let defaultPort {
            port = defaultPort
        } else {
            return nil
        }
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
