/// `RUN --mount`: something visible during one step and never in the image.
public struct Mount: Hashable, Sendable, Codable {
    /// Absolute, cleaned, never `/`.
    public var target: String
    /// True where the step must not write: the default for bind mounts.
    public var readOnly: Bool
    /// What is mounted.
    public var kind: Kind

    /// What is mounted.
    public enum Kind: Hashable, Sendable, Codable {
        /// A part of a tree; `rw` writes go to a layer that is thrown away. `source` is relative to the tree's root, may be a file.
        case bind(from: TreeSource, source: String)
        case cache(CacheMount)
        /// Memory; `size` in bytes, nil for the kernel's default.
        case tmpfs(size: UInt64?)
        /// werf's tmp_dir: a directory that is empty when the stage begins and is shared by its steps; one for each target.
        case temporary
        /// werf's fromPath: a file or directory of the agent, absolute and clean, which the agent's operator has allowed.
        case host(path: String)
        case secret(SecretMount)
    }

    /// A mount of its parts.
    public init(target: String, readOnly: Bool, kind: Kind) {
        self.target = target
        self.readOnly = readOnly
        self.kind = kind
    }

    /// False for a secret that is only in the environment: nothing is at its target.
    public var isVisible: Bool {
        if case .secret(let secret) = kind { return secret.isFile }
        return true
    }

    /// The tree that is read and enters the step's key.
    public var input: TreeSelection? {
        switch kind {
        case .bind(let from, let source): TreeSelection(source: from, path: source, wildcards: false)
        case .cache(let cache): cache.seed
        case .tmpfs, .temporary, .host, .secret: nil
        }
    }
}

/// `--mount=type=cache`: a volume of (project, id, platform).
public struct CacheMount: Hashable, Sendable, Codable {
    /// Defaults to the cleaned target before WORKDIR was joined.
    public var id: String
    /// What a second step at the same time gets.
    public var sharing: Sharing
    /// Of the volume's root, when it is new.
    public var mode: UInt16
    /// The owner of the volume's root, when it is new.
    public var uid: UInt32
    /// The group of the volume's root, when it is new.
    public var gid: UInt32
    /// `from` and `source`: the first content of a new volume.
    public var seed: TreeSelection?

    /// What BuildKit gives.
    public static let defaultMode: UInt16 = 0o755

    /// A shared cache of root, unless told.
    public init(
        id: String, sharing: Sharing = .shared, mode: UInt16 = CacheMount.defaultMode, uid: UInt32 = 0, gid: UInt32 = 0,
        seed: TreeSelection? = nil
    ) {
        self.id = id
        self.sharing = sharing
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.seed = seed
    }

    /// The volume's id in the cluster: another owner or mode is another volume.
    public var volumeID: String {
        if mode == Self.defaultMode, uid == 0, gid == 0 { return id }
        return "\(id)#\(uid):\(gid):\(String(mode, radix: 8))"
    }
}

/// `--mount=type=secret`: a value that the client sends, in memory only.
public struct SecretMount: Hashable, Sendable, Codable {
    /// By which the client's `--secret` names it.
    public var id: String
    /// False: without the secret there is no mount, and no error.
    public var required: Bool
    /// Set to the value; nil for none. The file at the target is there all the same, unless only the variable was asked for.
    public var variable: String?
    /// False where only the variable was asked for.
    public var isFile: Bool
    public var mode: UInt16
    public var uid: UInt32
    public var gid: UInt32

    /// What BuildKit gives.
    public static let defaultMode: UInt16 = 0o400
    /// Where a secret without a target of its own appears, by the last part of its id.
    public static let folder = "/run/secrets"

    /// An optional file of root.
    public init(
        id: String, required: Bool = false, variable: String? = nil, isFile: Bool = true, mode: UInt16 = SecretMount.defaultMode,
        uid: UInt32 = 0, gid: UInt32 = 0
    ) {
        self.id = id
        self.required = required
        self.variable = variable
        self.isFile = isFile
        self.mode = mode
        self.uid = uid
        self.gid = gid
    }
}

/// What happens when two steps want one volume at the same time.
public enum Sharing: String, Hashable, Sendable, Codable, CaseIterable {
    /// Both have it.
    case shared
    /// The second gets a copy of its own.
    case `private`
    /// The second waits, in the whole cluster.
    case locked
}
