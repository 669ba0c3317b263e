import BlockingIO
import FarmAPI
import Glibc
import Transport

/// `farm submit`, after its arguments were read.
public struct SubmitCommand: Sendable {
    let settings: ClientSettings
    let options: SubmitOptions
    let environment: [String: String]

    public init(settings: ClientSettings, options: SubmitOptions, environment: [String: String]) {
        self.settings = settings
        self.options = options
        self.environment = environment
    }

    /// Builds, exports, and prints the digest. Throws ``ClientError``.
    public func run() async throws {
        try Export.check(options.outputs, standardOutputIsTerminal: isatty(STDOUT_FILENO) == 1)
        if let file = options.iidFile { unlink(file) }
        let options = options
        let source = try await BlockingPool.shared.run { try BuildSource.find(options) }
        let screen = Screen(mode: options.quiet ? .quiet : options.progress, source: source, environment: environment)
        let connection = Connection(settings)
        defer { connection.closeSoon() }
        await screen.startTicking()
        do {
            let submission = Submission(
                api: connection.api, options: options, source: source, screen: screen, environment: environment, page: page(of:))
            let (build, image) = try await submission.run()
            if options.detach {
                await screen.stop()
                Screen.write(build + "\n", to: STDOUT_FILENO)
                return
            }
            for output in options.outputs {
                let vertex = await screen.begin("export \(Self.describe(output))")
                do {
                    try await Export(api: connection.api, build: build, tags: options.build.tags).write(output)
                    await screen.end(vertex)
                } catch {
                    await screen.end(vertex, error: "\(ClientError(error, coordinator: connection.address))")
                    throw error
                }
            }
            await screen.stop()
            try report(build: build, image: image)
        } catch {
            await screen.stop()
            throw ClientError(error, coordinator: connection.address)
        }
    }

    @Sendable private func page(of build: String) -> String {
        "https://\(HostPort(host: settings.host, port: settings.port))/builds/\(percentEncoded(build))"
    }

    private func report(build: String, image: BuildDescription.Image?) throws {
        guard let image else { return }
        let usesStandardOutput = options.outputs.contains { $0.destination == .standardOutput && $0.form != .load }
        if !usesStandardOutput { Screen.write("\(image.digest)\n", to: STDOUT_FILENO) }
        if let file = options.iidFile { try ResultFile.write("\(image.configDigest)", to: file, option: "--iidfile") }
        if let file = options.metadataFile {
            let metadata = [
                "containerimage.digest": "\(image.digest)", "containerimage.config.digest": "\(image.configDigest)",
                "farm.build.ref": build, "farm.build.page": page(of: build),
                "image.name": options.build.tags.joined(separator: ","),
            ].filter { !$0.value.isEmpty }
            try ResultFile.write(
                String(decoding: try FarmJSON.encodePretty(metadata), as: UTF8.self) + "\n", to: file, option: "--metadata-file")
        }
    }

    private static func describe(_ output: OutputSpec) -> String {
        let form =
            switch output.form {
            case .archive(let type): "\(type.rawValue) archive"
            case .local: "files"
            case .load: "to the local image store"
            }
        if case .path(let path) = output.destination { return "\(form) to \(path)" }
        return output.form == .load ? form : "\(form) to standard output"
    }
}

/// Small files that tell scripts the result; written aside and renamed.
enum ResultFile {
    static func write(_ text: String, to path: String, option: String) throws(ClientError) {
        let aside = "\(path).farm-\(getpid())"
        let descriptor = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .failed("\(option) \(path): \(String(cString: strerror(errno)))") }
        Screen.write(text, to: descriptor)
        guard close(descriptor) == 0, rename(aside, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(aside)
            throw .failed("\(option) \(path): \(reason)")
        }
    }
}

/// The connection of one command to its coordinator.
struct Connection: Sendable {
    let api: APIClient
    let address: String

    init(_ settings: ClientSettings) {
        address = HostPort(host: settings.host, port: settings.port).description
        let http = HTTPClient(configuration: ClientConfiguration(host: settings.host, port: settings.port, identity: settings.identity))
        api = APIClient(http: http, token: settings.token)
    }

    /// The process is about to end: nothing waits for a polite goodbye.
    func closeSoon() {
        let http = api.http
        Task { await http.close() }
    }
}
