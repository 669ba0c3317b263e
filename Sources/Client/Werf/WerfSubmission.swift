import BuildPlan
import FarmAPI
import Glibc
import WerfFrontend

/// A werf.yaml on its way to the coordinator.
struct WerfSubmission: Sendable {
    var request: WerfRequest
    /// The images that the user gets, in the order of the file.
    var names: [String]
    /// The commit's files; nil where the work tree is built as it is.
    var checkout: GitCheckout?
    /// `commit 1a2b3c4d5e6f of FOLDER`, where a commit is built.
    var commit: String?

    private static let fileNames = ["werf.yaml", "werf.yml"]

    /// An image as messages and results name it: the one without a name as the file writes it.
    static func shown(_ name: String) -> String { name.isEmpty ? "~" : name }

    /// The configuration's path relative to the context, where that is what is to be built; nil for a Dockerfile.
    ///
    /// A project that has both is one of werf, whose images may well be made by the Dockerfile; `-f Dockerfile` builds that alone.
    static func configuration(_ options: SubmitOptions, context: String) throws(ClientError) -> String? {
        guard let file = options.file else { return fileNames.first { access("\(context)/\($0)", F_OK) == 0 } }
        guard file.hasSuffix(".yaml") || file.hasSuffix(".yml") else { return nil }
        let path = BuildSource.path(of: file, context: context)
        let parts = path.split(separator: "/")
        let folder = path.hasPrefix("/") ? "/" + parts.dropLast().joined(separator: "/") : "./" + parts.dropLast().joined(separator: "/")
        guard let name = parts.last, let resolved = BuildSource.realPath(folder) else { throw .usage("\(file) does not exist") }
        if resolved == context { return String(name) }
        guard resolved.hasPrefix(context + "/") else {
            throw .usage("\(file) is not in the folder that is built, \(context): a werf.yaml is a part of its project")
        }
        return "\(resolved.dropFirst(context.count + 1))/\(name)"
    }

    /// Options that mean something for a Dockerfile only.
    static func check(_ options: SubmitOptions) throws(ClientError) {
        let given = [
            ("--target", options.build.target != nil, "name images by --image"),
            ("--build-arg", !options.build.buildArguments.isEmpty, "'args' of a dockerfile: image has them"),
            ("--secret", !options.secrets.isEmpty, "its 'secrets' say where their values are"),
        ]
        if let (option, _, instead) = given.first(where: \.1) { throw .usage("\(option) is not for a werf.yaml: \(instead)") }
    }

    /// An archive, a tag and a local image store take one image.
    static func checkOutputs(_ options: SubmitOptions, images: [WerfImage]) throws(ClientError) {
        let needsOne = options.outputs.isEmpty ? options.build.tags.isEmpty ? nil : "-t" : "-o and --load"
        guard let needsOne, images.count > 1 else { return }
        let names = images.map(\.shownName).joined(separator: ", ")
        throw .usage("\(needsOne) are for one image, and \(images.count) are built: choose one of \(names) by --image")
    }
}

extension BuildSource {
    /// Finds, renders and checks a werf.yaml; the coordinator is not asked. Blocks on files and git. Throws ``ClientError``.
    static func werf(
        _ config: String, _ options: SubmitOptions, context: String, environment: [String: String]
    ) throws(ClientError) -> BuildSource {
        try WerfSubmission.check(options)
        let project = try WerfProject.open(context, isLoose: options.loose, environment: environment)
        do throws(ClientError) {
            return try project.source(config, options, environment: environment)
        } catch {
            project.checkout?.release()
            throw error
        }
    }
}
