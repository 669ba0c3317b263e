import BuildPlan
import WerfFrontend

extension Giterminism {
    /// Throws ``ClientError`` with the line of the first thing that the project's rules don't allow, and with the rule that would.
    func check(_ facts: WerfFacts, project: WerfProject, home: String?) throws(ClientError) {
        guard !isLoose else { return }
        for permission in facts.permissions {
            guard let (what, rule) = try missing(permission.kind, folder: project.context, home: home) else { continue }
            throw .failed(
                "\(facts.file):\(permission.line): \(what) is not allowed by giterminism: \(rule) of \(Self.file), or use --loose")
        }
    }

    /// What is wanted, and the rule that is missing; nil where there is one.
    private func missing(_ kind: WerfPermission.Kind, folder: String, home: String?) throws(ClientError) -> (what: String, rule: String)? {
        switch kind {
        case .buildDirectory:
            buildDirectories ? nil : ("a mount from build_dir", "set config.stapel.mount.allowBuildDir")
        case .hostPath(let path):
            try Self.matches(hostPaths, path)
                ? nil : ("the mount fromPath \(Printable.line(path))", "list it in config.stapel.mount.allowFromPaths")
        case .latestBase: latestBase ? nil : ("fromLatest", "set config.stapel.allowFromLatest")
        case .secretVariable(let name):
            secretVariables.contains(name)
                ? nil : ("the secret from the variable \(Printable.line(name))", "list it in config.secrets.allowEnvVariables")
        case .secretFile(let path):
            try Self.matches(secretFiles.map { Self.absolute($0, folder, home) }, Self.absolute(path, folder, home))
                ? nil : ("the secret from the file \(Printable.line(path))", "list it in config.secrets.allowFiles")
        case .secretValue(let id):
            secretValues.contains(id) ? nil : ("the secret value of \(Printable.line(id))", "list it in config.secrets.allowValueIds")
        }
    }

    private static func matches(_ globs: [String], _ path: String) throws(ClientError) -> Bool {
        do throws(IgnoreFileError) {
            return try PathGlobs(globs).contains(CleanPath.relativeToRoot(path))
        } catch {
            throw .failed("\(file): a glob is wrong: \(error.reason)")
        }
    }

    private static func absolute(_ path: String, _ folder: String, _ home: String?) -> String {
        if path == "~" || path.hasPrefix("~/"), let home { return home + path.dropFirst() }
        return path.hasPrefix("/") ? path : "\(folder)/\(path)"
    }
}
