import BuildPlan
import Glibc

/// The files of a project that configure its build: those of the commit, and of the work tree where werf-giterminism.yaml or `--loose` says so.
struct ProjectFiles: Sendable {
    /// The project's folder in the commit's files; nil where only the work tree counts.
    let committed: String?
    /// The project's folder on disk.
    let workTree: String

    /// Configurations are small; a larger file has its place in the image and not in a template.
    static let sizeLimit = 4 << 20
    /// Names that templates may search.
    private static let countLimit = 1_000_000
    private static let depthLimit = 200

    /// A file's text, from the work tree where `globs` name it; nil where there is none. Blocks.
    func text(_ path: String, uncommitted: Bool) throws(ClientError) -> String? {
        guard let bytes = try bytes(path, uncommitted: uncommitted) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .failed("\(path) is not UTF-8 text") }
        return text
    }

    /// A file's bytes; nil where there is none. Links are followed as long as they stay within the project's repository.
    func bytes(_ path: String, uncommitted: Bool) throws(ClientError) -> [UInt8]? {
        let folder = uncommitted ? workTree : committed ?? workTree
        let clean = CleanPath.relativeToRoot(path)
        guard !clean.isEmpty, let resolved = realpath("\(folder)/\(clean)", nil) else { return nil }
        defer { free(resolved) }
        let file = String(cString: resolved)
        guard let root = realpath(folder, nil) else { return nil }
        defer { free(root) }
        guard file.hasPrefix(String(cString: root) + "/") else {
            throw .failed("\(Printable.line(path)) is a link that leads out of the project: to \(Printable.line(file))")
        }
        do throws(ClientError) {
            return try SmallFile.read(file, limit: Self.sizeLimit)
        } catch {
            // What is wrong with a file of the project is no wrong usage.
            throw .failed(error.description.replacing(file, with: Printable.line(path)))
        }
    }

    /// The paths of all files below a folder of the project, relative to the project, sorted; without `.git`. Blocks.
    func paths(below folder: String = "", uncommitted: PathGlobs = PathGlobs()) throws(ClientError) -> [String] {
        var found = Set<String>()
        try Self.walk(committed ?? workTree, folder, depth: 0) { found.insert($0) }
        if committed != nil {
            try Self.walk(workTree, folder, depth: 0) { if uncommitted.contains($0) { found.insert($0) } }
        }
        return found.sorted()
    }

    private static func walk(_ root: String, _ folder: String, depth: Int, _ found: (String) -> Void) throws(ClientError) {
        var count = 0
        try walk(root, folder, depth: depth, &count, found)
    }

    private static func walk(
        _ root: String, _ folder: String, depth: Int, _ count: inout Int, _ found: (String) -> Void
    ) throws(ClientError) {
        guard depth < depthLimit else { throw .failed("\(Printable.line(folder)): more than \(depthLimit) folders deep") }
        guard let directory = opendir(folder.isEmpty ? root : "\(root)/\(folder)") else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name == "." || name == ".." || name == ".git" { continue }
            let path = folder.isEmpty ? name : "\(folder)/\(name)"
            count += 1
            guard count <= countLimit else { throw .failed("the project has more than \(countLimit) files") }
            var status = stat()
            guard lstat("\(root)/\(path)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                try walk(root, path, depth: depth + 1, &count, found)
            } else {
                found(path)
            }
        }
    }
}
