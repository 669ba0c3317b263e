import FarmAPI
import Glibc

/// The values of a build's secrets by their ids. They are never written to a disk of ours, nor printed.
struct SecretValues: Sendable {
    private(set) var values: [String: [UInt8]] = [:]

    init() {}

    /// Reads them. Blocks on files. Throws ``ClientError`` for what is not there or is too large.
    ///
    /// - Parameter folder: what a relative file name is relative to; nil for the working directory.
    init(
        _ options: [SecretOption], environment: [String: String], folder: String? = nil, option: String = "--secret id="
    ) throws(ClientError) {
        guard options.count <= BuildSecrets.countLimit else { throw .usage("there are more than \(BuildSecrets.countLimit) secrets") }
        for secret in options {
            let place = "\(option)\(Printable.line(secret.id))"
            let value = try Self.read(secret, environment: environment, folder: folder, place: place)
            guard value.count <= BuildSecrets.valueLimit else {
                throw .usage("\(place): the value is larger than \(BuildSecrets.valueLimit >> 10) KiB")
            }
            values[secret.id] = value
        }
    }

    private static func read(
        _ secret: SecretOption, environment: [String: String], folder: String?, place: String
    ) throws(ClientError) -> [UInt8] {
        switch secret.source {
        case .value(let text): return Array(text.utf8)
        case .variable(let name):
            guard let value = environment[name] else { throw .usage("\(place): there is no environment variable \(Printable.line(name))") }
            return Array(value.utf8)
        case .file(let path): return try read(file(path, environment, folder), place: place)
        case .automatic:
            if let value = environment[secret.id] { return Array(value.utf8) }
            let path = file(secret.id, environment, folder)
            guard access(path, F_OK) == 0 else {
                throw .usage("\(place): there is neither an environment variable nor a file of that name; say src=FILE or env=NAME")
            }
            return try read(path, place: place)
        }
    }

    private static func file(_ path: String, _ environment: [String: String], _ folder: String?) -> String {
        if path.hasPrefix("~/"), let home = environment["HOME"] { return home + path.dropFirst() }
        guard let folder, !path.hasPrefix("/") else { return path }
        return "\(folder)/\(path)"
    }

    private static func read(_ path: String, place: String) throws(ClientError) -> [UInt8] {
        do throws(ClientError) {
            // One byte more than is allowed tells that there are too many.
            guard let bytes = try SmallFile.read(path, limit: BuildSecrets.valueLimit + 1, truncates: true) else {
                throw .usage("\(path) does not exist")
            }
            return bytes
        } catch {
            throw .usage("\(place): \(error)")
        }
    }
}
