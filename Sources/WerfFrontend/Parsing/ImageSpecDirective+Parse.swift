import BuildPlan
import DockerfileFrontend

extension ImageSpecDirective {
    /// `build.imageSpec`; nil where it is not there.
    init?(global build: Section) throws(WerfError) {
        guard let section = try build.section("imageSpec", Directives.globalImageSpec) else { return nil }
        line = section.line
        author = try section.string("author")
        clearsHistory = try section.bool("clearHistory") ?? false
        guard let config = try section.section("config", Directives.globalImageConfig) else { return }
        labels = try config.pairs("labels").map { DockerDirective.Variable(name: $0.name, value: $0.value) }
        removedLabels = try Self.names(config, "removeLabels")
        for name in ["keepEssentialWerfLabels", "clearWerfLabels", "removeWerfLabels"] { _ = try config.bool(name) }
    }

    /// The image's own, with what the global one adds: its labels count before the image's.
    static func merged(_ image: Section, global: ImageSpecDirective?) throws(WerfError) -> ImageSpecDirective? {
        guard var result = try ImageSpecDirective(image: image) else { return global }
        guard let global else { return result }
        result.author = result.author ?? global.author
        result.clearsHistory = result.clearsHistory || global.clearsHistory
        result.labels = result.labels.filter { own in !global.labels.contains { $0.name == own.name } } + global.labels
        result.removedLabels += global.removedLabels
        return result
    }

    private init?(image: Section) throws(WerfError) {
        guard let section = try image.section("imageSpec", Directives.imageSpec) else { return nil }
        line = section.line
        author = try section.string("author")
        clearsHistory = try section.bool("clearHistory") ?? false
        guard let config = try section.section("config", Directives.imageConfig) else { return }
        for name in ["keepEssentialWerfLabels", "clearWerfLabels", "removeWerfLabels"] { _ = try config.bool(name) }
        if config.value("cmd") != nil { command = try config.strings("cmd", onlyText: false) }
        if config.value("entrypoint") != nil { entrypoint = try config.strings("entrypoint", onlyText: false) }
        environment = try DockerDirective.variables(config, "env")
        if config.value("expose") != nil { ports = try DockerDirective.ports(config, "expose") }
        labels = try config.pairs("labels").map { DockerDirective.Variable(name: $0.name, value: $0.value) }
        volumes = try config.strings("volumes", onlyText: false)
        for path in volumes where path.utf8.first != UInt8(ascii: "/") {
            throw config.error("volumes", "'\(path)' is not an absolute path")
        }
        healthcheck = try Self.healthcheck(config)
        if let signal = try config.text("stopSignal") {
            guard InstructionValue.isStopSignal(signal) else {
                throw config.error("stopSignal", "'\(signal.prefix(60))' is no signal of Linux")
            }
            stopSignal = signal
        }
        user = try config.text("user")
        workingDirectory = try DockerDirective.directory(config, "workingDir")
        removedVariables = try Self.names(config, "removeEnv")
        removedLabels = try Self.names(config, "removeLabels")
        removedVolumes = try config.strings("removeVolumes", onlyText: false)
        clearsCommand = try config.bool("clearCmd") ?? false
        clearsEntrypoint = try config.bool("clearEntrypoint") ?? false
        clearsUser = try config.bool("clearUser") ?? false
        clearsWorkingDirectory = try config.bool("clearWorkingDir") ?? false
    }

    // An expression of the user's would be matched by the coordinator, and some take for ever.
    private static func names(_ section: Section, _ directive: String) throws(WerfError) -> [String] {
        let names = try section.strings(directive, onlyText: false)
        for name in names where name.utf8.count > 1 && name.utf8.first == UInt8(ascii: "/") && name.utf8.last == UInt8(ascii: "/") {
            throw section.error(
                directive, "'\(directive)': regular expressions like '\(name.prefix(60))' are not built yet: expected exact names")
        }
        return names
    }

    private static func healthcheck(_ config: Section) throws(WerfError) -> Healthcheck? {
        guard let section = try config.section("healthcheck", Directives.healthcheck) else { return nil }
        var check = Healthcheck(test: try section.strings("test", onlyText: false))
        check.interval = try nanoseconds(section, "interval")
        check.timeout = try nanoseconds(section, "timeout")
        check.startPeriod = try nanoseconds(section, "startPeriod")
        check.retries = try section.integer("retries") ?? 0
        guard check.retries >= 0 else { throw section.error("retries", "'retries' expects a number from 0") }
        return check
    }

    private static func nanoseconds(_ section: Section, _ directive: String) throws(WerfError) -> Int64 {
        guard let seconds = try section.integer(directive) else { return 0 }
        // A day is more than any check takes, and far from what overflows.
        guard (0...86_400).contains(seconds) else { throw section.error(directive, "'\(directive)' expects seconds, from 0 to 86400") }
        return Int64(seconds) * 1_000_000_000
    }
}
