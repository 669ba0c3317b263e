/// Paths as text, cleaned as Go's `path.Clean` does: no file system is asked.
public enum CleanPath {
    /// The shortest equal path: no empty, `.` or resolvable `..` component, no slash at the end; `.` for nothing.
    public static func clean(_ path: String) -> String {
        let rooted = path.utf8.first == UInt8(ascii: "/")
        var kept: [Substring] = []
        // By bytes, as the kernel reads it: a slash with a combining character behind it is one Character, and still a slash.
        for component in path.utf8.split(separator: UInt8(ascii: "/")).map({ Substring($0) }) where component != "." {
            if component == ".." {
                if let last = kept.last, last != ".." {
                    kept.removeLast()
                } else if !rooted {
                    kept.append(component)
                }
            } else {
                kept.append(component)
            }
        }
        let joined = kept.joined(separator: "/")
        if rooted { return "/" + joined }
        return joined.isEmpty ? "." : joined
    }

    /// The path below the root that `path` means when it is read from there: `..` stops at the root. Empty for the root itself.
    public static func relativeToRoot(_ path: String) -> String { String(clean("/" + path).dropFirst()) }

    /// `path` from `directory` on, cleaned; `path` alone where it is absolute.
    public static func join(_ directory: String, _ path: String) -> String {
        path.utf8.first == UInt8(ascii: "/") ? clean(path) : clean(directory + "/" + path)
    }
}
