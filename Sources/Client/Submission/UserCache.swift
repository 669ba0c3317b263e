import Glibc

/// Where the client keeps what only saves time: `$XDG_CACHE_HOME/farm` or `~/.cache/farm`.
enum UserCache {
    /// A folder there, made where it is missing; nil where there is no such place.
    static func folder(_ name: String, environment: [String: String]) -> String? {
        let cache = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? environment["HOME"].map { $0 + "/.cache" }
        guard let cache else { return nil }
        let folder = "\(cache)/farm/\(name)"
        var made = ""
        for part in folder.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, 0o700) == 0 || errno == EEXIST else { return nil }
        }
        return folder
    }
}
