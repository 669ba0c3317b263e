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
        let screen = Screen(mode: options.quiet ? .quiet : options.progress, environment: environment)
        await screen.startTicking()
        let connection = Connection(settings)
        defer { connection.closeSoon() }
        do {
            let source = try await load(screen)
            // The files of a commit are read until the build has ended.
            defer { source.werf?.checkout?.release() }
            let submission = Submission(
                api: connection.api, options: options, source: source, screen: screen, environment: environment, page: page(of:))
            let (build, outcome) = try await submission.run()
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
            try SubmitReport(options: options, build: build, page: page(of: build), names: source.werf?.names ?? []).write(outcome)
        } catch {
            await screen.stop()
            throw ClientError(error, coordinator: connection.address)
        }
    }

    private func load(_ screen: Screen) async throws -> BuildSource {
        let (options, environment) = (options, environment)
        let source = try await BlockingPool.shared.run { try BuildSource.find(options, environment: environment) }
        await screen.show(source)
        for warning in source.warnings { await screen.note("warning: \(warning)") }
        return source
    }

    @Sendable private func page(of build: String) -> String {
        "https://\(HostPort(host: settings.host, port: settings.port))/builds/\(percentEncoded(build))"
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
