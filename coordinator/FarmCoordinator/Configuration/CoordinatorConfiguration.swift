import Daemon
import Logging
import Scheduling

/// Everything that an operator can say to a coordinator.
public struct CoordinatorConfiguration: Configurable, Equatable {
    /// Where everything lies that must outlive the process.
    public var data = CoordinatorConfiguration.defaultData
    /// Where to listen.
    public var listen = Endpoint(host: "0.0.0.0", port: CoordinatorConfiguration.defaultPort)
    /// The certificate of the farm's authority.
    public var authority = ""
    /// The coordinator's own certificate and its key.
    public var certificate = ""
    public var key = ""
    /// The authority's key, with which `enroll` issues certificates. A coordinator that serves does not read it.
    public var authorityKey = ""
    /// The Ed25519 key that grants are signed with.
    public var grantKey = ""
    /// The file of bearer tokens, hashed.
    public var tokens = ""
    public var logFormat = LogFormat.text
    public var logLevel = Logger.Level.info
    /// Bytes of the largest archive that `farm image import` may send.
    public var imageLimit = CoordinatorConfiguration.defaultImageLimit
    /// Bytes of the data disk that uploads leave free.
    public var reservedSpace = CoordinatorConfiguration.defaultReservedSpace

    /// Bytes of file contents of contexts that are kept for later builds.
    public var contextLimit = CoordinatorConfiguration.defaultContextLimit
    /// Bytes of directory objects of contexts that are kept for later builds.
    public var treeLimit = CoordinatorConfiguration.defaultTreeLimit
    /// Connections at the same time, of which those without a certificate may be half.
    public var maximumConnections = CoordinatorConfiguration.defaultMaximumConnections
    /// Requests under way on one connection.
    public var maximumStreams = CoordinatorConfiguration.defaultMaximumStreams
    /// Seconds after which a connection without a request is closed.
    public var idleTimeout = CoordinatorConfiguration.defaultIdleTimeout
    /// Leases, attempts and how long builds are kept.
    public var engine = EngineSettings()

    /// Where the package puts the data.
    public static let defaultData = "/var/lib/farm/coordinator"
    /// Not assigned by IANA, and not used by the tools that farms run beside.
    public static let defaultPort = 7480
    /// Larger than any base image that people mean; smaller than most disks.
    public static let defaultImageLimit: Int64 = 64 << 30
    /// SQLite needs room to work when uploads have filled the disk.
    public static let defaultReservedSpace: Int64 = 1 << 30

    /// A few hundred contexts of usual size.
    public static let defaultContextLimit: Int64 = 64 << 30

    /// About a hundred bytes a file: forty million files.
    public static let defaultTreeLimit: Int64 = 4 << 30
    /// Four times the agents of a large farm, with its clients and browsers; some 200 MB when all are there and idle.
    public static let defaultMaximumConnections = 4096
    /// An agent has a request for each thing that a running step waits for, a client a few.
    public static let defaultMaximumStreams = 512
    /// Longer than people look away from a page, shorter than networks forget connections.
    public static let defaultIdleTimeout: Double = 300

    /// The defaults.
    public init() { complete(given: []) }

    /// What was not given lies in the data directory, as `farm-coordinator init` makes it.
    public mutating func complete(given: Set<String>) {
        let layout = DataLayout(data: data)
        if !given.contains("authority") { authority = layout.authority }
        if !given.contains("authority-key") { authorityKey = layout.authorityKey }
        if !given.contains("certificate") { certificate = layout.certificate }
        if !given.contains("key") { key = layout.key }
        if !given.contains("grant-key") { grantKey = layout.grantKey }
        if !given.contains("tokens") { tokens = layout.tokens }
        // Five heartbeats a lease, also where the lease was made short.
        engine.heartbeat = min(engine.heartbeat, engine.lease / 5)
    }
}

extension CoordinatorConfiguration {
    /// All settings, in the order of the documentation.
    public static let settings = general + scheduling

    private static let general: [Setting<CoordinatorConfiguration>] = [
        .path("data", "directory of everything that must outlive the process", \.data),
        .endpoint("listen", "where to listen", \.listen),
        .path("authority", "certificate of the farm's authority", \.authority),
        .path("authority-key", "key of the authority, for `enroll`", \.authorityKey),
        .path("certificate", "the coordinator's certificate", \.certificate),
        .path("key", "key of the coordinator's certificate", \.key),
        .path("grant-key", "key that grants are signed with", \.grantKey),
        .path("tokens", "file of bearer tokens", \.tokens),
        .logFormat(\.logFormat),
        .logLevel(\.logLevel),
        .bytes("image-limit", "largest archive that `farm image import` may send", \.imageLimit),
        .bytes("context-limit", "file contents of contexts that are kept for later builds", \.contextLimit),
        .bytes("tree-limit", "directories of contexts that are kept for later builds", \.treeLimit),
        .bytes("reserved-space", "bytes of the data disk that uploads leave free", \.reservedSpace),
        Setting(
            "max-connections", "connections at the same time, of which those without a certificate may be half", expected: "4 to 1000000",
            \.maximumConnections
        ) {
            Int($0).flatMap { (4...1_000_000).contains($0) ? $0 : nil }
        },
        Setting("max-streams", "requests under way on one connection", expected: "16 to 65535", \.maximumStreams) {
            Int($0).flatMap { (16...65_535).contains($0) ? $0 : nil }
        },
        seconds("idle-timeout", "seconds after which a connection without a request is closed", 1...86_400, \.idleTimeout),
        seconds("lease", "seconds without a word after which an agent is lost and its stages go elsewhere", 3...3600, \.engine.lease),
        seconds(
            "upload-timeout", "seconds that a build waits for a client that went away before its upload", 1...86_400,
            \.engine.contentsTimeout),
        Setting("attempts", "times a stage is given to an agent before the build fails", expected: "1 to 100", \.engine.maximumAttempts) {
            Int($0).flatMap { (1...100).contains($0) ? $0 : nil }
        },
        Setting(
            "set-aside-failures", "failures of an agent within set-aside-window that set it aside, 0 for never", expected: "0 to 1000",
            \.engine.troubles.failures
        ) {
            Int($0).flatMap { (0...1000).contains($0) ? $0 : nil }
        },
        seconds("set-aside-window", "seconds for which a failure of an agent counts", 1...86_400, \.engine.troubles.window),
        seconds(
            "set-aside-time", "seconds for which an agent that fails gets no stages; doubled each time that it fails again", 1...3600,
            \.engine.troubles.pause),
        days("build-retention", "days for which ended builds are kept", \.engine.buildRetention),
        days("log-retention", "days for which what steps printed is kept, if the build is", \.engine.logRetention),
        .bytes("log-limit", "bytes of all logs together, 0 for no limit; those of the oldest builds go first", \.engine.logLimit),
        days("record-retention", "days for which results are known whose layers no agent has", \.engine.recordRetention),
        Setting("volume-copies", "agents that shall have each volume's newest generation", expected: "1 to 8", \.engine.copies.copies) {
            Int($0).flatMap { (1...8).contains($0) ? $0 : nil }
        },
        seconds("copy-settle", "seconds for which a volume must not change before it is copied", 0...3600, \.engine.copies.settle),
        Setting(
            "copy-concurrency", "copies of volumes that an agent receives at the same time", expected: "1 to 16",
            \.engine.copies.concurrency
        ) {
            Int($0).flatMap { (1...16).contains($0) ? $0 : nil }
        },
        .bytes("volume-quota", "bytes that a project's volumes may take, 0 for no limit", \.engine.quotas.usual),
        Setting(
            "volume-quotas", "the same for projects by name", expected: "PROJECT=BYTES, several with commas", takesMapping: true,
            \.engine.quotas.projects
        ) {
            VolumeQuotas.parse($0) { ByteCount.parse($0) }
        },
        Setting(
            "volume-quota-low", "percent of its quota that a project has left when volumes had to be removed", expected: "0 to 100",
            \.engine.quotas.low
        ) {
            Double($0).flatMap { (0...100).contains($0) ? $0 / 100 : nil }
        },
    ]

    /// Of shares and placement.
    private static let scheduling: [Setting<CoordinatorConfiguration>] = [
        weights("project-weights", "shares of projects; 1 for those that are not named", "PROJECT", \.engine.scheduling.weights),
        weights(
            "user-weights", "shares of users among those of a project; 1 for those that are not named", "USER",
            \.engine.scheduling.userWeights),
        Setting(
            "project-limit", "stages of a project that run at the same time, 0 for no limit", expected: "a number from 0 to \(mostStages)",
            \.engine.scheduling.defaultLimit
        ) {
            Int($0).flatMap { (0...mostStages).contains($0) ? .some($0 == 0 ? nil : $0) : nil }
        },
        Setting(
            "project-limits", "the same for projects by name", expected: "PROJECT=NUMBER, several with commas", takesMapping: true,
            \.engine.scheduling.limits
        ) {
            NamedNumbers.parse($0, in: 0...mostStages)?.mapValues { $0 == 0 ? .max : $0 }
        },
        Setting(
            "assumed-bandwidth", "bytes a second between two agents, until they are measured", expected: ByteCount.expected,
            \.engine.scheduling.bandwidth
        ) {
            ByteCount.parse($0).flatMap { $0 >= leastBandwidth ? Double($0) : nil }
        },
        Setting(
            "emulation-factor", "how much longer a stage takes by emulation", expected: "a number from 1 to 1000",
            \.engine.scheduling.emulation
        ) {
            Double($0).flatMap { (1...1000).contains($0) ? $0 : nil }
        },
        seconds("preference", "seconds that a preferred label is worth", 0...3600, \.engine.scheduling.preference),
    ]

    /// More stages at once than any farm has slots.
    private static let mostStages = 1_000_000
    /// With less, no estimate would ever have anything moved.
    private static let leastBandwidth: Int64 = 1024
    /// Far from what a share can mean.
    private static let weightRange = SchedulingPolicy.leastWeight...1000

    private static func weights(
        _ name: String, _ help: String, _ what: String, _ field: WritableKeyPath<CoordinatorConfiguration, [String: Double]> & Sendable
    ) -> Setting<CoordinatorConfiguration> {
        Setting(
            name, help, expected: "\(what)=WEIGHT from \(weightRange.lowerBound) to \(Int(weightRange.upperBound)), several with commas",
            takesMapping: true, field
        ) { NamedNumbers.parse($0, in: weightRange) }
    }

    private static func days(
        _ name: String, _ help: String, _ field: WritableKeyPath<CoordinatorConfiguration, Double> & Sendable
    ) -> Setting<CoordinatorConfiguration> {
        Setting(name, help, expected: "1 to 3650", field) { Double($0).flatMap { (1...3650).contains($0) ? $0 * 86_400 : nil } }
    }

    private static func seconds(
        _ name: String, _ help: String, _ range: ClosedRange<Double>, _ field: WritableKeyPath<CoordinatorConfiguration, Double> & Sendable
    ) -> Setting<CoordinatorConfiguration> {
        Setting(name, help, expected: "\(Int(range.lowerBound)) to \(Int(range.upperBound)) seconds", field) {
            Double($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}
