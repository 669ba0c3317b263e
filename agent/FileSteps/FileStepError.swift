import FileTree

/// Why COPY, ADD or WORKDIR can't be done: what, on what, and what to do.
public enum FileStepError: Error, Sendable, Equatable {
    /// Something on the way to the destination is not a directory.
    case notDirectory(path: [UInt8])
    /// A file would replace a directory.
    case replacesDirectory(path: [UInt8])
    /// A directory would replace something else.
    case replacesFile(path: [UInt8])
    /// `--chown` names a user that the image does not have.
    case unknownUser(String)
    /// `--chown` names a group that the image does not have.
    case unknownGroup(String)
    /// `--chown` is no `user[:group]`.
    case invalidOwner(String)
    /// A call to the system failed.
    case system(operation: String, path: [UInt8], code: Int32)
    /// Contents that were asked for did not come.
    case contentsMissing(count: Int)
    /// ADD met an archive, which needs a mounted root.
    case archiveNeedsMount(name: [UInt8])
    /// The operation reads a tree that was not given.
    case noSource
}

extension FileStepError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notDirectory(let path): "'/\(Self.text(path))' in the image is not a directory, so that nothing can be copied into it"
        case .replacesDirectory(let path):
            "a file can't replace the directory '/\(Self.text(path))'; end the destination with '/' or choose another"
        case .replacesFile(let path):
            "a directory can't replace '/\(Self.text(path))', which is not a directory in the image; copy to where it leads, or remove it before"
        case .unknownUser(let name): "the image's /etc/passwd has no user '\(name)'; use a number or create the user before"
        case .unknownGroup(let name): "the image's /etc/group has no group '\(name)'; use a number or create the group before"
        case .invalidOwner(let owner): "'\(owner)' is no owner; expected user[:group], names or numbers"
        case .system(let operation, let path, let code):
            FileTreeError.system(operation: operation, path: path, code: code).description
        case .contentsMissing(let count): "\(count) file contents did not arrive; submit the build again"
        case .archiveNeedsMount(let name): "'\(Self.text(name))' is an archive, but the root was not mounted to unpack it"
        case .noSource: "the tree that the step copies from was not given"
        }
    }

    private static func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }
}
