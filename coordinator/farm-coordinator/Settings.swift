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
    @Option(help: ArgumentHelp(Settings.help("lease"), valueName: "seconds")) var lease: String?
    @Option(help: ArgumentHelp(Settings.help("upload-timeout"), valueName: "seconds")) var uploadTimeout: String?
    @Option(help: ArgumentHelp(Settings.help("attempts"), valueName: "n")) var attempts: String?
    @Option(help: ArgumentHelp(Settings.help("build-retention"), valueName: "days")) var buildRetention: String?

    /// The configuration that all sources give together.
    func read() throws -> CoordinatorConfiguration {
        let flags: [String: String?] = [
            "data": data, "listen": listen, "authority": authority, "authority-key": authorityKey, "certificate": certificate, "key": key,
            "grant-key": grantKey, "tokens": tokens, "log-format": logFormat, "log-level": logLevel, "image-limit": imageLimit,
            "context-limit": contextLimit, "reserved-space": reservedSpace, "lease": lease, "upload-timeout": uploadTimeout,
            "attempts": attempts,
            "build-retention": buildRetention,
        ]
        return try CoordinatorConfiguration.load(path: config, flags: flags.compactMapValues(\.self))
    }

    private static func help(_ name: String) -> String { CoordinatorConfiguration.setting(name)?.help ?? name }
}
