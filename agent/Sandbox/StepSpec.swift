import BuildPlan

/// One command to run in a root file system.
public struct StepSpec: Sendable {
    /// Bounds on what the step may use, where the machine has cgroups.
    public struct Limits: Sendable, Hashable {
        static let cpuPeriod: UInt64 = 100_000
        /// Cores, fractions too; nil for all.
        public var cores: Double?
        /// Bytes; nil for all.
        public var memory: UInt64?
        /// No bounds.
        public init() {}
    }

    /// Something that is visible during the step only.
    public struct Mount: Sendable, Hashable {
        /// What is seen there.
        public enum Source: Sendable, Hashable {
            /// A directory or file of the agent's.
            case path(String)
            /// A path inside a tree that is not trusted: symbolic links in it do not lead out. The file or directory is mounted.
            case inTree(root: String, path: String)
            /// Memory; `size` in bytes, nil for the kernel's default.
            case tmpfs(size: UInt64?)
        }
        /// Absolute; symbolic links are followed inside the root.
        public var target: String
        public var source: Source
        public var readOnly: Bool

        /// Takes the parts as they are.
        public init(target: String, source: Source, readOnly: Bool) {
            self.target = target
            self.source = source
            self.readOnly = readOnly
        }
    }

    /// As the kernel gets them.
    public var arguments: [String]
    /// `NAME=value`; PATH and HOME are added where they are not set.
    public var environment: [String]
    /// More of them that must not reach a disk or a log: the step's files are in memory then.
    public var secretEnvironment: [String] = []
    /// Absolute; made where it is not there.
    public var workingDirectory: String
    /// `user[:group]`, nil for root.
    public var user: String?
    public var network: NetworkMode
    /// Parents first.
    public var mounts: [Mount]
    /// Absolute path in the container and content: executable files that are there during the step only.
    public var files: [InlineFile]
    /// `name:address`
    public var extraHosts: [String]
    /// Bytes of /dev/shm; nil for 64 MiB.
    public var shmSize: UInt64?
    public var limits = Limits()

    /// A command as root in `/` without mounts, on the machine's network.
    public init(
        arguments: [String], environment: [String] = [], workingDirectory: String = "/", user: String? = nil, network: NetworkMode = .host,
        mounts: [Mount] = [], files: [InlineFile] = [], extraHosts: [String] = [], shmSize: UInt64? = nil
    ) {
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.user = user
        self.network = network
        self.mounts = mounts
        self.files = files
        self.extraHosts = extraHosts
        self.shmSize = shmSize
    }
}
