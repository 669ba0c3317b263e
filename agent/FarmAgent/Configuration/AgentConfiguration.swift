import BuildPlan
import Daemon
import Glibc
import Logging
import Volumes

/// How an agent is set up.
public struct AgentConfiguration: Configurable, Hashable {
    /// The coordinator as this machine reaches it.
    public var coordinator = Endpoint(host: "127.0.0.1", port: AgentConfiguration.defaultCoordinatorPort)
    /// Layers, volumes and what running steps need: on a file system that overlayfs can use.
    public var data = AgentConfiguration.defaultData
    /// Where other agents are served.
    public var listen = Endpoint(host: "0.0.0.0", port: AgentConfiguration.defaultPort)
    /// What other agents are told; nil: the host of `listen`, else this machine's name, and the port that was bound.
    public var advertise: Endpoint?
    /// The certificate of the farm's authority.
    public var authority = AgentConfiguration.defaultFiles + "/authority.pem"
    /// This agent's own certificate, whose common name is the agent's name, and its key.
    public var certificate = AgentConfiguration.defaultFiles + "/certificate.pem"
    public var key = AgentConfiguration.defaultFiles + "/key.pem"
    /// What `--require` asks for, beside `name`, `os` and `arch`.
    public var labels: [String: String] = [:]
    /// Steps that run at the same time.
    public var slots = AgentConfiguration.cores
    /// Processors and bytes of memory that stages can reserve, all together; nil for what the machine has.
    public var cpus: Double?
    public var memory: Int64?
    /// Platforms whose programs this machine runs by emulation.
    public var emulate: [Platform] = []
    /// `auto`, `crun`, `runc` or a path.
    public var runtime = "auto"
    /// Bytes of layers that are kept for later builds.
    public var layerCacheSize = AgentConfiguration.defaultLayerCacheSize
    /// What of this machine builds may mount, each path with all that is below it.
    public var hostPaths: [String] = []
    /// Above this, volumes and layers are removed, until ``volumeLow`` is reached.
    public var volumeHigh = AgentConfiguration.defaultHigh
    public var volumeLow = AgentConfiguration.defaultLow
    /// Files of volumes from so many bytes on get a second copy; 0 for none.
    public var spareFiles = VolumeSettings().spareFiles
    /// Bytes a second that copies of other agents' volumes may take in the background; 0 for all.
    public var copyBandwidth = AgentConfiguration.defaultCopyBandwidth
    /// Cores and bytes of memory that one step may use; nil for all.
    public var stepCores: Double?
    public var stepMemory: Int64?
    public var logFormat = LogFormat.text
    public var logLevel = Logger.Level.info

    /// Where the package puts the data.
    public static let defaultData = "/var/lib/farm/agent"
    static let defaultFiles = "/etc/farm/agent"
    static let defaultCoordinatorPort = 7480
    static let defaultPort = 7481
    /// A few dozen toolchain images with their builds.
    public static let defaultLayerCacheSize: Int64 = 100 << 30
    /// File systems become slow above it, and the next build needs some room.
    public static let defaultHigh = DiskMark.share(0.95)
    /// Enough that not every step has something removed.
    public static let defaultLow = DiskMark.share(0.9)
    /// Half of a gigabit link.
    public static let defaultCopyBandwidth: Int64 = 64 << 20
    static let slotLimit = 1024
    /// More than any machine has.
    static let cpuLimit = 65_536.0

    static var cores: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// The defaults.
    public init() {}
}
