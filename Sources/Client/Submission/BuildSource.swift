import BlockingIO
import BuildPlan
import FileTree
import Glibc

/// What a submission builds, found and read: a Dockerfile or a werf.yaml, its context, and the values of its secrets.
struct BuildSource: Sendable {
    /// The Dockerfile's text, or that of the werf.yaml as it was rendered.
    var text: String
    /// For messages: the name as the user would type it.
    var name: String
    /// The context's folder, with symbolic links resolved.
    var context: String
    var project: String
    var ignore: IgnorePatterns
    var secrets: SecretValues
    /// There for a werf.yaml.
    var werf: WerfSubmission?
    /// What is read, for progress: the folder, or the commit.
    var origin: String { werf?.commit ?? "context \(context)" }
    /// What the user should know before the build.
    var warnings: [String] = []

    /// A Dockerfile larger than this is a mistake.
    static let dockerfileLimit = 4 << 20

    /// Blocks on files, and for a werf.yaml on git. Throws ``ClientError`` that says what is missing.
    static func find(_ options: SubmitOptions, environment: [String: String]) throws(ClientError) -> BuildSource {
        if options.context == "-" || options.context.contains("://") || options.context.hasPrefix("git@") {
            throw .usage("the context '\(options.context)' is not built yet: name a folder")
        }
        guard let context = realPath(options.context), isDirectory(context) else {
            throw .usage("the context '\(options.context)' is not a folder")
        }
        if let config = try WerfSubmission.configuration(options, context: context) {
            return try werf(config, options, context: context, environment: environment)
        }
        let given = [("--image", !options.images.isEmpty), ("--loose", options.loose), ("--env", options.environmentName != nil)]
        if let option = given.first(where: \.1)?.0 { throw .usage("\(option) is for a werf.yaml; what is built here is a Dockerfile") }
        return try dockerfile(options, context: context, environment: environment)
    }

    private static func dockerfile(
        _ options: SubmitOptions, context: String, environment: [String: String]
    ) throws(ClientError) -> BuildSource {
        let file = try dockerfilePath(options, context: context)
        let project = options.project ?? context.split(separator: "/").last.map(String.init) ?? "root"
        try check(project: project, place: "--project")
        return BuildSource(
            text: try read(file), name: file == "-" ? "Dockerfile" : name(file, context: context), context: context, project: project,
            ignore: try ignorePatterns(file: file, context: context),
            secrets: try SecretValues(options.secrets, environment: environment))
    }

    /// What an error message leaves unsaid: that a file which is missing in the context is in the folder, but ignored.
    func hint(about message: String) -> String? {
        let ending = "' does not exist"
        guard message.hasSuffix(ending), let quote = message.dropLast(ending.count).lastIndex(of: "'") else { return nil }
        let path = CleanPath.clean(String(message.dropLast(ending.count)[message.index(after: quote)...])).drop { $0 == "/" }
        var status = stat()
        guard !path.isEmpty, lstat("\(context)/\(path)", &status) == 0 else { return nil }
        let isDirectory = status.st_mode & S_IFMT == S_IFDIR
        guard ignore.decision(path: String(path), isDirectory: isDirectory) != .include else { return nil }
        return "'\(path)' is in the folder, but .dockerignore leaves it out of the context: take it in by a line !\(path)"
    }

    private static func dockerfilePath(_ options: SubmitOptions, context: String) throws(ClientError) -> String {
        if let file = options.file { return path(of: file, context: context) }
        let file = "\(context)/Dockerfile"
        guard access(file, F_OK) == 0 else { throw .usage("\(context) has no Dockerfile and no werf.yaml: name one by -f") }
        return file
    }

    /// What `-f` means: relative to the working directory as with docker; to the context where only that one exists.
    static func path(of file: String, context: String) -> String {
        if file == "-" || file.hasPrefix("/") { return file }
        let inContext = "\(context)/\(file)"
        return access(file, F_OK) != 0 && access(inContext, F_OK) == 0 ? inContext : file
    }

    private static func read(_ file: String) throws(ClientError) -> String {
        let bytes = file == "-" ? try SmallFile.read(STDIN_FILENO, "standard input", limit: dockerfileLimit) : try contents(of: file)
        guard let bytes else { throw .usage("\(file) does not exist") }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .usage("\(file) is not UTF-8 text") }
        return text
    }

    /// `<Dockerfile>.dockerignore` wins over `.dockerignore`.
    private static func ignorePatterns(file: String, context: String) throws(ClientError) -> IgnorePatterns {
        for path in [file == "-" ? nil : file + ".dockerignore", "\(context)/.dockerignore"].compactMap(\.self) {
            guard let bytes = try contents(of: path) else { continue }
            do {
                return try IgnorePatterns(file: String(decoding: bytes, as: UTF8.self))
            } catch {
                throw .usage("\(path): \(error)")
            }
        }
        return IgnorePatterns()
    }

    private static func contents(of file: String) throws(ClientError) -> [UInt8]? { try SmallFile.read(file, limit: dockerfileLimit) }

    private static func name(_ file: String, context: String) -> String {
        file.hasPrefix(context + "/") ? String(file.dropFirst(context.count + 1)) : file
    }

    private static let projectLimit = 128

    /// Throws where a project can't have that name.
    static func check(project: String, place: String) throws(ClientError) {
        let allowed = project.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || ("0"..."9").contains($0) || "._-/ ".unicodeScalars.contains($0)
        }
        guard allowed, !project.isEmpty, project.utf8.count <= projectLimit else {
            throw .usage("\(place) '\(Printable.line(project))': letters, digits, '.', '_', '-' and '/', at most \(projectLimit) bytes")
        }
    }

    /// With symbolic links resolved; nil where there is nothing.
    static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
