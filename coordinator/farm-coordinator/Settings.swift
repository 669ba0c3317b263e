import ArgumentParser
import Daemon
import FarmCoordinator

/// Every setting of the configuration as a flag.
struct Settings: ParsableArguments {
    @Option(help: ArgumentHelp("YAML file of settings; each is also a flag and an environment variable FARM_….", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp(Settings.help("data"), valueName: "dir")) var data: String?
    @Option(help: ArgumentHelp(Settings.help("listen"), valueName: "host:port")) var listen: String?
    @Option(help: ArgumentHelp(Settings.help("authority"), valueName: "file")) var authority: String?
    @Option(help: ArgumentHelp(Settings.help("authority-key"), valueName: "file")) var authorityKey: String?
    @Option(help: ArgumentHelp(Settings.help("certificate"), valueName: "file")) var certificate: String?
    @Option(help: ArgumentHelp(Settings.help("key"), valueName: "file")) var key: String?
    @Option(help: ArgumentHelp(Settings.help("grant-key"), valueName: "file")) var grantKey: String?
    @Option(help: ArgumentHelp(Settings.help("tokens"), valueName: "file")) var tokens: String?
    @Option(help: ArgumentHelp(Settings.help("log-format"), valueName: "text|json")) var logFormat: String?
    @Option(help: ArgumentHelp(Settings.help("log-level"), valueName: "level")) var logLevel: String?
    @Option(help: ArgumentHelp(Settings.help("image-limit"), valueName: "bytes")) var imageLimit: String?
    @Option(help: ArgumentHelp(Settings.help("context-limit"), valueName: "bytes")) var contextLimit: String?
    @Option(help: ArgumentHelp(Settings.help("reserved-space"), valueName: "bytes")) var reservedSpace: String?
    @Option(help: ArgumentHelp(Settings.help("max-connections"), valueName: "n")) var maxConnections: String?
    @Option(help: ArgumentHelp(Settings.help("max-streams"), valueName: "n")) var maxStreams: String?
    @Option(help: ArgumentHelp(Settings.help("idle-timeout"), valueName: "seconds")) var idleTimeout: String?
    @Option(help: ArgumentHelp(Settings.help("lease"), valueName: "seconds")) var lease: String?
    @Option(help: ArgumentHelp(Settings.help("upload-timeout"), valueName: "seconds")) var uploadTimeout: String?
    @Option(help: ArgumentHelp(Settings.help("attempts"), valueName: "n")) var attempts: String?
    @Option(help: ArgumentHelp(Settings.help("tree-limit"), valueName: "bytes")) var treeLimit: String?
    @Option(help: ArgumentHelp(Settings.help("build-retention"), valueName: "days")) var buildRetention: String?
    @Option(help: ArgumentHelp(Settings.help("volume-copies"), valueName: "n")) var volumeCopies: String?
    @Option(help: ArgumentHelp(Settings.help("copy-settle"), valueName: "seconds")) var copySettle: String?
    @Option(help: ArgumentHelp(Settings.help("copy-concurrency"), valueName: "n")) var copyConcurrency: String?
    @Option(help: ArgumentHelp(Settings.help("volume-quota"), valueName: "bytes")) var volumeQuota: String?
    @Option(help: ArgumentHelp(Settings.help("volume-quotas"), valueName: "project=bytes,…")) var volumeQuotas: String?
    @Option(help: ArgumentHelp(Settings.help("volume-quota-low"), valueName: "percent")) var volumeQuotaLow: String?
    @Option(help: ArgumentHelp(Settings.help("project-weights"), valueName: "project=weight,…")) var projectWeights: String?
    @Option(help: ArgumentHelp(Settings.help("user-weights"), valueName: "user=weight,…")) var userWeights: String?
    @Option(help: ArgumentHelp(Settings.help("project-limit"), valueName: "n")) var projectLimit: String?
    @Option(help: ArgumentHelp(Settings.help("project-limits"), valueName: "project=n,…")) var projectLimits: String?
    @Option(help: ArgumentHelp(Settings.help("assumed-bandwidth"), valueName: "bytes")) var assumedBandwidth: String?
    @Option(help: ArgumentHelp(Settings.help("emulation-factor"), valueName: "factor")) var emulationFactor: String?
    @Option(help: ArgumentHelp(Settings.help("preference"), valueName: "seconds")) var preference: String?
    @Option(help: ArgumentHelp(Settings.help("log-retention"), valueName: "days")) var logRetention: String?
    @Option(help: ArgumentHelp(Settings.help("log-limit"), valueName: "bytes")) var logLimit: String?
    @Option(help: ArgumentHelp(Settings.help("record-retention"), valueName: "days")) var recordRetention: String?

    /// The configuration that all sources give together.
    func read() throws -> CoordinatorConfiguration {
        let flags: [String: String?] = [
            "data": data, "listen": listen, "authority": authority, "authority-key": authorityKey, "certificate": certificate, "key": key,
            "grant-key": grantKey, "tokens": tokens, "log-format": logFormat, "log-level": logLevel, "image-limit": imageLimit,
            "context-limit": contextLimit, "reserved-space": reservedSpace, "max-connections": maxConnections, "max-streams": maxStreams,
            "idle-timeout": idleTimeout,
            "lease": lease, "upload-timeout": uploadTimeout,
            "attempts": attempts,
            "volume-copies": volumeCopies, "copy-settle": copySettle,
            "copy-concurrency": copyConcurrency, "volume-quota": volumeQuota, "volume-quotas": volumeQuotas,
            "volume-quota-low": volumeQuotaLow, "project-weights": projectWeights, "user-weights": userWeights,
            "project-limit": projectLimit, "project-limits": projectLimits, "assumed-bandwidth": assumedBandwidth,
            "emulation-factor": emulationFactor, "preference": preference,
            "tree-limit": treeLimit, "build-retention": buildRetention, "log-retention": logRetention, "log-limit": logLimit,
            "record-retention": recordRetention,
        ]
        return try CoordinatorConfiguration.load(path: config, flags: flags.compactMapValues(\.self))
    }

    private static func help(_ name: String) -> String { CoordinatorConfiguration.setting(name)?.help ?? name }
}
