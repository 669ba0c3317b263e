import BuildPlan
import Daemon

extension AgentConfiguration {
    /// All of them, in the order of the documentation.
    public static let settings: [Setting<AgentConfiguration>] = [
        .endpoint("coordinator", "the coordinator", \.coordinator),
        .path("data", "directory of layers, volumes and running steps", \.data),
        .endpoint("listen", "where other agents are served; port 0 for a free one", \.listen),
        Setting("advertise", "address that other agents are told", expected: "HOST:PORT", optional: \.advertise) { Endpoint($0) },
        .path("authority", "certificate of the farm's authority", \.authority),
        .path("certificate", "the agent's certificate; its common name is the agent's name", \.certificate),
        .path("key", "key of the agent's certificate", \.key),
        Setting("labels", "what --require asks for", expected: "NAME=VALUE, several with commas", takesMapping: true, \.labels) {
            Labels.parse($0)
        },
        Setting("slots", "steps that run at the same time (default: cores)", expected: "a number from 1 to 1024", \.slots) { text in
            Int(text).flatMap { (1...slotLimit).contains($0) ? $0 : nil }
        },
        Setting(
            "cpus", "processors that stages can reserve (default: what the machine has)", expected: "a number above 0", optional: \.cpus
        ) { text in
            Double(text).flatMap { $0 > 0 && $0 <= cpuLimit ? $0 : nil }
        },
        Setting(
            "memory", "memory that stages can reserve (default: what the machine has)", expected: ByteCount.expected, optional: \.memory
        ) { text in
            ByteCount.parse(text).flatMap { $0 > 0 ? $0 : nil }
        },
        Setting(
            "emulate", "platforms that this machine runs by emulation (default: none)",
            expected: "platforms such as linux/arm64, several with commas", \.emulate
        ) { Platforms.parse($0) },
        Setting("runtime", "OCI runtime", expected: "auto, crun, runc or a path", \.runtime) {
            ["auto", "crun", "runc"].contains($0) || $0.hasPrefix("/") ? $0 : nil
        },
        .bytes("layer-cache-size", "bytes of layers that are kept", \.layerCacheSize),
        Setting(
            "host-paths", "paths of this machine that builds may mount, with all below them (default: none)",
            expected: "absolute paths without '..', several with commas", \.hostPaths
        ) { HostPaths.parse($0) },
        Setting("volume-high", "above this, volumes and layers are removed", expected: DiskMark.expected, \.volumeHigh) { DiskMark($0) },
        Setting("volume-low", "until this is reached", expected: DiskMark.expected, \.volumeLow) { DiskMark($0) },
        .bytes(
            "spare-files", "files of volumes from this size on get a second copy, into which their next version is written; 0 for none",
            \.spareFiles),
        .bytes("copy-bandwidth", "bytes a second for copies of other agents' volumes, 0 for no limit", \.copyBandwidth),
        Setting("step-cores", "cores that one step may use", expected: "a number above 0", optional: \.stepCores) { text in
            Double(text).flatMap { $0 > 0 && $0.isFinite ? $0 : nil }
        },
        Setting("step-memory", "memory that one step may use", expected: ByteCount.expected, optional: \.stepMemory) { text in
            ByteCount.parse(text).flatMap { $0 > 0 ? $0 : nil }
        },
        .logFormat(\.logFormat),
        .logLevel(\.logLevel),
    ]
}

/// `linux/arm64,linux/riscv64`
enum Platforms {
    static func parse(_ text: String) -> [Platform]? {
        var platforms: [Platform] = []
        for part in text.split(separator: ",") {
            guard let platform = Platform(part.trimmingSpaces)?.normalized, platform.os == "linux" else { return nil }
            if !platforms.contains(platform) { platforms.append(platform) }
        }
        return platforms
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var text = drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}

/// `a=b,c=d`
enum Labels {
    static func parse(_ text: String) -> [String: String]? {
        var labels: [String: String] = [:]
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, !pair[0].isEmpty else { return nil }
            labels[String(pair[0])] = String(pair[1])
        }
        return labels
    }
}
