import BuildPlan

extension StapelBuilder {
    /// What a command line finds where the base says nothing of it.
    static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    /// Where a stage's script is mounted, by the stage's name, during the step only.
    static let scriptFolder = "/dev/pipes"
    /// Runs a script by the image's bash, or by its sh where it has none: werf brings a bash of its own.
    static let chooser = InlineFile(
        path: "\(scriptFolder)/shell", content: "if [ -x /bin/bash ]; then exec /bin/bash -e \"$1\"; fi\nexec /bin/sh -e \"$1\"\n")

    /// The commands of a stage: one script, which the first command that fails ends.
    mutating func addShell(_ stage: WerfStage) {
        guard let shell = image.shell, let commands = shell.commands[stage] else { return }
        let path = "\(Self.scriptFolder)/\(stage.rawValue)"
        var environment = config.env
        if config.environment("PATH") == nil { environment.append("PATH=\(Self.defaultPath)") }
        var operation = RunOperation(
            arguments: ["/bin/sh", Self.chooser.path, path], environment: environment, workingDirectory: "/",
            network: image.network ?? plan.options.network, mounts: mounts.mounts + secretMounts,
            files: [Self.chooser, InlineFile(path: path, content: commands.joined(separator: "\n") + "\n")])
        operation.cacheVersion = cacheVersion(of: stage, shell)
        operation.references = references
        if stage.position > WerfStage.gitArchive.position {
            operation.git = mappings
            operation.dependencies = image.git.compactMap { directive in
                directive.dependencies[stage].map { globs in
                    var filter = directive.mapping.filter
                    filter.dependencies = globs
                    return TreeSelection(source: .context, path: directive.path, wildcards: false, filter: filter)
                }
            }
        }
        add(.run(operation), to: stage, text: commands.joined(separator: "\n"), line: shell.lines[stage] ?? image.base.line)
    }

    private var secretMounts: [Mount] {
        image.secrets.map { secret in
            Mount(
                target: "/run/secrets/\(secret.id)", readOnly: true, kind: .secret(SecretMount(id: secret.qualifiedID, required: true)))
        }
    }

    /// All versions that this stage has to heed: those of the base, of the image, of its shell and its own.
    private func cacheVersion(of stage: WerfStage, _ shell: ShellDirective) -> String? {
        let versions = [
            ("from", image.fromCacheVersion), ("image", image.cacheVersion ?? plan.config.cacheVersion), ("shell", shell.cacheVersion),
            ("stage", shell.cacheVersions[stage]),
        ]
        let given = versions.compactMap { name, version in version.map { "\(name)=\($0.utf8.count):\($0)" } }
        return given.isEmpty ? nil : given.joined(separator: "\n")
    }
}
