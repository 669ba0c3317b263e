import Digests
import Glibc

/// Where the digests of a context's files are remembered between submissions, so that an unchanged file costs one stat.
enum ContextIndex {
    /// A file under `$XDG_CACHE_HOME/farm` or `~/.cache/farm`; nil where there is no such place: the submission is only slower then.
    static func path(for context: String, environment: [String: String]) -> [UInt8]? {
        let cache = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? environment["HOME"].map { $0 + "/.cache" }
        guard let cache else { return nil }
        let folder = "\(cache)/farm/contexts"
        var made = ""
        for part in folder.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, 0o700) == 0 || errno == EEXIST else { return nil }
        }
        return Array("\(folder)/\(Digest.of(context).hex.prefix(32))".utf8)
    }
}
