import BlockingIO
import BuildPlan
import FileTree
import Glibc

/// The Dockerfile and the context of a submission, found and read.
struct BuildSource: Sendable {
    var dockerfile: String
    /// For messages: the name as the user would type it.
    var dockerfileName: String
    /// The context's folder, with symbolic links resolved.
    var context: String
    var project: String
    var ignore: IgnorePatterns

    /// A Dockerfile larger than this is a mistake.
    static let dockerfileLimit = 4 << 20

    /// Blocks on files. Throws ``ClientError`` that says what is missing.
    static func find(_ options: SubmitOptions) throws(ClientError) -> BuildSource {
        if options.context == "-" || options.context.contains("://") || options.context.hasPrefix("git@") {
            throw .usage("the context '\(options.context)' is not built yet: name a folder")
        }
        guard let context = realPath(options.context), isDirectory(context) else {
            throw .usage("the context '\(options.context)' is not a folder")
        }
        let file = try dockerfilePath(options, context: context)
        let project = options.project ?? context.split(separator: "/").last.map(String.init) ?? "root"
        try check(project: project)
        return BuildSource(
            dockerfile: try read(file), dockerfileName: file == "-" ? "Dockerfile" : name(file, context: context), context: context,
            project: project, ignore: try ignorePatterns(file: file, context: context))
    }

    private static func dockerfilePath(_ options: SubmitOptions, context: String) throws(ClientError) -> String {
        let werf = ["werf.yaml", "werf.yml"]
        if let file = options.file {
            if werf.contains(where: { file == $0 || file.hasSuffix("/" + $0) }) {
                throw .failed("\(file): building werf.yaml is not built yet")
            }
            if file == "-" || file.hasPrefix("/") { return file }
            // Relative to the working directory as with docker; to the context where only that one exists.
            let inContext = "\(context)/\(file)"
            return access(file, F_OK) != 0 && access(inContext, F_OK) == 0 ? inContext : file
        }
        let file = "\(context)/Dockerfile"
        let hasDockerfile = access(file, F_OK) == 0
        if let found = werf.first(where: { access("\(context)/\($0)", F_OK) == 0 }) {
            throw .failed(
                hasDockerfile
                    ? "\(context) has \(found) and a Dockerfile: say which one by -f (building werf.yaml is not built yet)"
                    : "\(context)/\(found): building werf.yaml is not built yet")
        }
        guard hasDockerfile else { throw .usage("\(context) has no Dockerfile: name one by -f") }
        return file
    }

    private static func read(_ file: String) throws(ClientError) -> String {
        guard let bytes = try file == "-" ? readAll(STDIN_FILENO, "standard input") : contents(of: file) else {
            throw .usage("\(file) does not exist")
        }
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

    /// nil where there is no such file. A named pipe is not waited for.
    private static func contents(of file: String) throws(ClientError) -> [UInt8]? {
        let descriptor = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw .usage("\(file) can't be read: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        // What a shell gives for `<(…)` is a pipe, which has its writer already.
        guard isFile || file.hasPrefix("/dev/fd/") || file.hasPrefix("/proc/self/fd/") else {
            throw .usage("\(file) can't be read: it is \(status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "no regular file")")
        }
        _ = fcntl(descriptor, F_SETFL, 0)
        return try readAll(descriptor, file)
    }

    private static func readAll(_ descriptor: Int32, _ name: String) throws(ClientError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .usage("\(name) can't be read: \(String(cString: strerror(errno)))") }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= dockerfileLimit else {
                throw .usage("\(name) has more than \(dockerfileLimit) bytes: too many for a Dockerfile or a .dockerignore")
            }
        }
    }

    private static func name(_ file: String, context: String) -> String {
        file.hasPrefix(context + "/") ? String(file.dropFirst(context.count + 1)) : file
    }

    private static let projectLimit = 128

    private static func check(project: String) throws(ClientError) {
        let allowed = project.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || ("0"..."9").contains($0) || "._-/ ".unicodeScalars.contains($0)
        }
        guard allowed, !project.isEmpty, project.utf8.count <= projectLimit else {
            throw .usage("--project '\(Printable.line(project))': letters, digits, '.', '_', '-' and '/', at most \(projectLimit) bytes")
        }
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
