/// A path inside a volume: the bytes between slashes are names as the file system has them, in any encoding; the root is empty.
public typealias TreePath = [UInt8]

/// The order, the limits and the parts of paths.
public enum TreePaths {
    /// PATH_MAX of Linux.
    public static let lengthLimit = 4096
    /// NAME_MAX of Linux.
    public static let nameLimit = 255
    static let slash = UInt8(ascii: "/")

    /// Tree order: a directory comes before what is in it, and all of that before anything else. It is the order of the bytes with the
    /// slash as the smallest.
    public static func precedes(_ a: TreePath, _ b: TreePath) -> Bool {
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                let common = min(a.count, b.count)
                for index in 0..<common where a[index] != b[index] {
                    return rank(a[index]) < rank(b[index])
                }
                return a.count < b.count
            }
        }
    }

    static func rank(_ byte: UInt8) -> UInt8 { byte == slash ? 0 : byte }

    /// What is wrong with the path, nil for a good one: not absolute, no empty, `.` or `..` part, no NUL, within the limits.
    static func fault(in path: TreePath) -> String? {
        guard path.count <= lengthLimit else { return "a path of \(path.count) bytes" }
        if path.isEmpty { return nil }
        var start = 0
        for index in 0...path.count where index == path.count || path[index] == slash {
            let length = index - start
            if length == 0 { return "an empty part in '\(text(path))'" }
            if length > nameLimit { return "a name of \(length) bytes" }
            if length == 1, path[start] == UInt8(ascii: ".") { return "a part '.' in '\(text(path))'" }
            if length == 2, path[start] == UInt8(ascii: "."), path[start + 1] == UInt8(ascii: ".") {
                return "a part '..' in '\(text(path))'"
            }
            start = index + 1
        }
        return path.contains(0) ? "a NUL in a path" : nil
    }

    /// The directory that the path is in; nil for the root.
    public static func parent(of path: TreePath) -> TreePath? {
        guard !path.isEmpty else { return nil }
        guard let index = path.lastIndex(of: slash) else { return [] }
        return Array(path[..<index])
    }

    /// The last part.
    static func name(of path: TreePath) -> ArraySlice<UInt8> {
        guard let index = path.lastIndex(of: slash) else { return path[...] }
        return path[(index + 1)...]
    }

    /// Whether `path` is inside the directory `ancestor`.
    static func isBelow(_ path: TreePath, _ ancestor: TreePath) -> Bool {
        if ancestor.isEmpty { return !path.isEmpty }
        return path.count > ancestor.count && path[ancestor.count] == slash && path.starts(with: ancestor)
    }

    /// `directory/name`.
    static func join(_ directory: TreePath, _ name: some Collection<UInt8>) -> TreePath {
        directory.isEmpty ? Array(name) : directory + [slash] + name
    }

    /// For messages: what is not UTF-8 is shown as such.
    public static func text(_ path: TreePath) -> String { path.isEmpty ? "." : String(decoding: path, as: UTF8.self) }
}
