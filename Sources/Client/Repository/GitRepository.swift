import Glibc

/// The git repository that a project's folder is in. Nothing here changes it.
struct GitRepository: Sendable {
    /// The work tree's root.
    let root: String
    /// The project's folder relative to the root; empty for the root itself, without a slash at the end.
    let project: String
    /// Where the repository keeps its objects.
    let objects: String
    /// The commit that is checked out.
    let commit: Commit
    private let git: GitCommand

    /// What templates may ask of HEAD.
    struct Commit: Sendable, Equatable {
        /// In hexadecimal.
        var hash: String
        /// Seconds since 1970, of the committer.
        var seconds: Int64
        /// nil where no branch is checked out.
        var branch: String?
        /// A tag that names this commit.
        var tag: String?
    }

    /// Uncommitted changes and untracked files that a message names at most.
    static let namedChanges = 10

    /// The repository of a folder. Blocks. Throws ``ClientError`` where there is none, or where it has no commit.
    static func find(_ folder: String, environment: [String: String]) throws(ClientError) -> GitRepository {
        let git = GitCommand(environment: environment)
        let inside = ["-C", folder, "rev-parse", "--path-format=absolute"]
        let top = try git.attempt(inside + ["--show-toplevel"])
        guard top.status == 0 else {
            // git's own words name the cure for a repository of somebody else, which it refuses to touch.
            throw .failed(
                top.error.contains("not a git repository")
                    ? "\(folder) is not in a git repository: a werf.yaml is built from a commit; 'git init' and commit, or build the folder as it is by --loose"
                    : "\(folder): git refuses: \(top.error)")
        }
        let head = try git.attempt(["-C", folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        guard head.status == 0 else {
            throw .failed("the git repository of \(folder) has no commit yet: commit, or build the folder as it is by --loose")
        }
        let prefix = line(try git.run(inside + ["--show-prefix"]))
        let hash = line(head.output)
        guard hash.count >= 40, hash.utf8.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) }) else {
            throw .failed("\(folder): git names the commit '\(Printable.line(hash))'")
        }
        let branch = try git.attempt(["-C", folder, "symbolic-ref", "--quiet", "--short", "HEAD"])
        let tag = try git.attempt(["-C", folder, "describe", "--tags", "--exact-match", hash])
        let date = line(try git.run(["-C", folder, "show", "--no-patch", "--no-show-signature", "--format=%ct", hash]))
        return GitRepository(
            root: line(top.output), project: prefix.hasSuffix("/") ? String(prefix.dropLast()) : prefix,
            objects: line(try git.run(inside + ["--git-path", "objects"])),
            commit: Commit(
                hash: hash, seconds: Int64(date) ?? 0, branch: branch.status == 0 ? line(branch.output) : nil,
                tag: tag.status == 0 ? line(tag.output) : nil),
            git: git)
    }

    /// Files of the project that are not as they are in HEAD, or are not there: relative to the project's folder, the first ones by name,
    /// and how many there are in all. Ignored files don't count.
    func changes() throws(ClientError) -> (named: [String], count: Int) {
        let output = try git.run([
            "-C", project.isEmpty ? root : "\(root)/\(project)", "status", "--porcelain=v1", "-z", "--no-renames",
            "--untracked-files=normal", "--ignore-submodules=dirty", "--", ".",
        ])
        // `XY path`, NUL: the path is relative to the root whatever the folder.
        var paths: [String] = []
        for entry in output.split(separator: 0) where entry.count > 3 {
            let path = String(decoding: entry.dropFirst(3), as: UTF8.self)
            paths.append(project.isEmpty || !path.hasPrefix(project + "/") ? path : String(path.dropFirst(project.count + 1)))
        }
        paths.sort()
        return (Array(paths.prefix(Self.namedChanges)), paths.count)
    }

    /// The submodules of HEAD in the project's folder, relative to it.
    func submodules() throws(ClientError) -> [String] {
        let output = try git.run(["-C", root, "ls-tree", "-r", "-z", "--full-tree", commit.hash])
        let gitlink = Array("160000 ".utf8)
        return output.split(separator: 0).filter { $0.starts(with: gitlink) }.compactMap { entry in
            guard let tab = entry.firstIndex(of: 0x09) else { return nil }
            let path = String(decoding: entry[entry.index(after: tab)...], as: UTF8.self)
            if project.isEmpty { return path }
            return path.hasPrefix(project + "/") ? String(path.dropFirst(project.count + 1)) : nil
        }
    }

    private static func line(_ output: [UInt8]) -> String {
        String(decoding: output.last == UInt8(ascii: "\n") ? output.dropLast() : output[...], as: UTF8.self)
    }
}
