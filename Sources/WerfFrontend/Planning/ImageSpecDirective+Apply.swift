import BuildPlan

extension ImageSpecDirective {
    /// Changes the configuration: first what is removed, then what is set.
    func apply(
        to config: inout ImageConfig, history: inout [HistoryEntry], project: String, image: String, file: String
    ) throws(WerfError) {
        if let author { config.author = author.isEmpty ? nil : author }
        for name in removedLabels { config.labels[name] = nil }
        let named = { (text: String) in text.replacing("%project%", with: project).replacing("%image%", with: image) }
        for label in labels { config.labels[named(label.name)] = named(label.value) }
        let before = config.env
        config.env.removeAll { entry in removedVariables.contains { entry.utf8.starts(with: ($0 + "=").utf8) } }
        for variable in environment {
            config.setEnvironment(variable.name, try variable.expanded(by: before, file: file, line: line))
        }
        config.volumes = Set(config.volumes).subtracting(removedVolumes).union(volumes).sorted {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
        if let ports { config.exposedPorts = ports }
        if let healthcheck { config.healthcheck = healthcheck }
        if clearsEntrypoint { config.entrypoint = nil }
        if clearsCommand || (entrypoint != nil && command == nil) { config.cmd = nil }
        if let entrypoint { config.entrypoint = entrypoint.isEmpty ? nil : entrypoint }
        if let command { config.cmd = command.isEmpty ? nil : command }
        if clearsUser { config.user = nil }
        if let user { config.user = user }
        if clearsWorkingDirectory { config.workingDirectory = nil }
        if let workingDirectory { config.workingDirectory = workingDirectory }
        if let stopSignal { config.stopSignal = stopSignal }
        history.append(HistoryEntry(createdBy: "werf imageSpec", author: config.author, emptyLayer: true))
        guard clearsHistory else { return }
        // The entries stay, since each layer has one; what they say goes.
        history = history.map { HistoryEntry(createdBy: "", emptyLayer: $0.emptyLayer) }
    }
}
