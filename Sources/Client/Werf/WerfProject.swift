import BuildPlan
import FarmAPI
import WerfFrontend

/// A project's folder with its commit and its rules.
struct WerfProject: Sendable {
    /// The project's folder on disk.
    let context: String
    let files: ProjectFiles
    let rules: Giterminism
    let repository: GitRepository?
    /// nil where the work tree is built as it is.
    let checkout: GitCheckout?

    /// Finds the repository, and brings the commit's files to a folder. Blocks. Throws ``ClientError``.
    static func open(_ context: String, isLoose: Bool, environment: [String: String]) throws(ClientError) -> WerfProject {
        if isLoose {
            // The commit's name is for templates only, so that there may be none.
            return WerfProject(
                context: context, files: ProjectFiles(committed: nil, workTree: context), rules: Giterminism(isLoose: true),
                repository: try? GitRepository.find(context, environment: environment), checkout: nil)
        }
        let repository = try GitRepository.find(context, environment: environment)
        let checkout = try GitCheckout.make(repository, environment: environment)
        do throws(ClientError) {
            let committed = repository.project.isEmpty ? checkout.folder : "\(checkout.folder)/\(repository.project)"
            let files = ProjectFiles(committed: committed, workTree: context)
            var rules = Giterminism()
            if let text = try files.text(Giterminism.file, uncommitted: false) { rules = try Giterminism(parsing: text) }
            return WerfProject(context: context, files: files, rules: rules, repository: repository, checkout: checkout)
        } catch {
            checkout.release()
            throw error
        }
    }

    /// The configuration, with its template carried out.
    func rendering(_ config: String, _ options: SubmitOptions, environment: [String: String]) throws(ClientError) -> WerfRendering {
        try WerfRendering(
            config, files: files, rules: rules, commit: repository?.commit,
            environmentName: options.environmentName ?? environment["WERF_ENV"] ?? "", environment: environment)
    }

    /// All that is sent for a build. What is wrong is found here, before there is one.
    func source(_ config: String, _ options: SubmitOptions, environment: [String: String]) throws(ClientError) -> BuildSource {
        let rendering = try rendering(config, options, environment: environment)
        let facts = try WerfFacts(rendering, images: options.images)
        try WerfSubmission.checkOutputs(options, images: facts.images)
        try rules.check(facts, project: self, home: environment["HOME"])
        let project = options.project ?? facts.project
        try BuildSource.check(project: project, place: options.project == nil ? "\(facts.file): project" : "--project")
        let secrets = facts.secrets.map { SecretOption($0) }
        let text = try SecretMask.masking(rendering.text, name: facts.file)
        return BuildSource(
            text: text, name: facts.file, context: files.committed ?? context, project: project, ignore: ignored,
            secrets: try SecretValues(secrets, environment: environment, folder: context, option: "secret "),
            werf: WerfSubmission(
                request: WerfRequest(config: text, name: facts.file, images: options.images, files: try texts(of: facts)),
                names: facts.images.map(\.name), checkout: checkout,
                commit: checkout == nil ? nil : repository.map { "commit \($0.commit.hash.prefix(12)) of \(context)" }),
            warnings: try warnings())
    }

    // The commit's files are all built; of a work tree all but git's own.
    private var ignored: IgnorePatterns {
        checkout == nil ? (try? IgnorePatterns(patterns: [".git"])) ?? IgnorePatterns() : IgnorePatterns()
    }

    private func texts(of facts: WerfFacts) throws(ClientError) -> [String: String] {
        var texts: [String: String] = [:]
        for file in facts.files {
            let globs = file.isRequired ? rules.uncommittedDockerfiles : rules.uncommittedDockerignores
            if let text = try files.text(file.path, uncommitted: globs.contains(file.path)) {
                texts[file.path] = text
            } else if file.isRequired {
                throw .failed("\(facts.file):\(file.line): \(file.path) is not in the \(checkout == nil ? "project" : "commit")")
            }
        }
        return texts
    }

    private func warnings() throws(ClientError) -> [String] {
        guard let repository, checkout != nil else { return [] }
        var warnings: [String] = []
        let (named, count) = try repository.changes()
        if count > 0 {
            let more = count > named.count ? ", and \(count - named.count) more" : ""
            warnings.append(
                "not committed, and so not built: \(named.map(Printable.line).joined(separator: ", "))\(more); "
                    + "commit, or build the folder as it is by --loose")
        }
        let submodules = try repository.submodules()
        if !submodules.isEmpty {
            let named = submodules.prefix(GitRepository.namedChanges).map(Printable.line).joined(separator: ", ")
            warnings.append("submodules are not built, their folders are empty: \(named)")
        }
        return warnings
    }
}
