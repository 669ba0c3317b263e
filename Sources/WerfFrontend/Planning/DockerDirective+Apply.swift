import BuildPlan
import DockerfileFrontend

extension DockerDirective {
    /// What shell forms run by where the image says nothing of it.
    static let defaultShell = ["/bin/sh", "-c"]

    /// Changes the configuration, as the instructions of a Dockerfile do.
    func apply(to config: inout ImageConfig, history: inout [HistoryEntry], file: String) throws(WerfError) {
        var shown: [String] = []
        // By the environment as it was: one variable's new value does not reach another's.
        let before = config.env
        for variable in environment {
            config.setEnvironment(variable.name, try variable.expanded(by: before, file: file, line: line))
            shown.append("ENV \(variable.name)")
        }
        for label in labels {
            config.labels[label.name] = label.value
            shown.append("LABEL \(label.name)")
        }
        if !volumes.isEmpty {
            config.volumes = Set(config.volumes).union(volumes).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            shown.append("VOLUME \(volumes.joined(separator: " "))")
        }
        if !ports.isEmpty {
            config.exposedPorts = Set(config.exposedPorts).union(ports).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            shown.append("EXPOSE \(ports.joined(separator: " "))")
        }
        // A command of the file takes away the base's entry point, an entry point the base's command.
        if let command {
            if entrypoint == nil { config.entrypoint = nil }
            config.cmd = command.words(config)
            shown.append("CMD")
        }
        if let entrypoint {
            config.entrypoint = entrypoint.words(config)
            if command == nil { config.cmd = nil }
            shown.append("ENTRYPOINT")
        }
        if let workingDirectory {
            config.workingDirectory = workingDirectory
            shown.append("WORKDIR \(workingDirectory)")
        }
        if let user {
            config.user = user
            shown.append("USER \(user)")
        }
        if let healthcheck {
            config.healthcheck = healthcheck
            shown.append("HEALTHCHECK")
        }
        for text in shown {
            history.append(HistoryEntry(createdBy: "werf dockerInstructions: \(text)", author: config.author, emptyLayer: true))
        }
    }
}

extension DockerDirective.Command {
    fileprivate func words(_ config: ImageConfig) -> [String]? {
        switch self {
        case .shell(let text): (config.shell ?? DockerDirective.defaultShell) + [text]
        case .exec(let words): words.isEmpty ? nil : words
        }
    }
}

extension DockerDirective.Variable {
    /// The value with the variables in it.
    func expanded(by environment: [String], file: String, line: Int) throws(WerfError) -> String {
        do throws(InstructionValue.Invalid) {
            return try InstructionValue.expand(value, environment: environment)
        } catch { throw WerfError(file: file, line: line, message: "the value of '\(name)': \(error)") }
    }
}
