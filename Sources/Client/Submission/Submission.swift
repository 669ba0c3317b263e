import BlockingIO
import BuildPlan
import Digests
import FarmAPI
import FileTree
import NIOCore
import Transport

/// One `farm submit`: from the folder to the digest.
///
/// The build belongs to the coordinator as soon as it has started: this process may go away and come back, and only an
/// interrupt cancels it.
struct Submission: Sendable {
    let api: APIClient
    let options: SubmitOptions
    let source: BuildSource
    let screen: Screen
    let environment: [String: String]
    /// The address of a build's page.
    let page: @Sendable (_ build: String) -> String

    /// How long the client tries to find a coordinator that has gone away in the middle of a build: a restart takes seconds,
    /// an upgrade minutes.
    static let reconnectLimit: Duration = .seconds(300)

    /// Runs until the build has ended; returns its image. Throws ``ClientError``.
    func run() async throws -> (build: String, image: BuildDescription.Image?) {
        let context = try await loadContext()
        let build = try await start(context)
        await screen.accepted(build, page: page(build))
        if options.detach { return (build, nil) }
        do {
            return (build, try await follow(build, context: context))
        } catch is CancellationError {
            // The task was cancelled by a signal: the build goes with it, told outside of the cancelled task.
            let api = api
            await Task { try? await api.post("/api/v1/builds/\(percentEncoded(build))/cancel", [String: String](), deadline: .seconds(5)) }
                .value
            throw ClientError.cancelled
        }
    }

    private func loadContext() async throws -> ContextTree {
        let vertex = await screen.begin("load context \(source.context)")
        do {
            let scanner = ContextScanner(
                ignore: source.ignore, index: ContextIndex.path(for: source.context, environment: environment))
            let folder = Array(source.context.utf8)
            let tree = try await BlockingPool.shared.run { try scanner.scan(root: folder) }
            await screen.end(vertex)
            return tree
        } catch {
            await screen.end(vertex, error: "\(error)")
            throw ClientError.failed("\(error)")
        }
    }

    private func start(_ context: ContextTree) async throws -> String {
        let request = SubmitRequest(
            project: source.project, dockerfile: source.dockerfile, dockerfileName: source.dockerfileName, contextRoot: context.root,
            options: options.build, requestID: Self.newRequestID())
        let answer = try await api.post(SubmitResponse.self, "/api/v1/builds", request)
        if !answer.started {
            try await ContextUpload(api: api, tree: context).sendObjects()
            try await api.post("/api/v1/builds/\(percentEncoded(answer.build))/start", [String: String]())
        }
        return answer.build
    }

    private func follow(_ build: String, context: ContextTree) async throws -> BuildDescription.Image? {
        var last = 0
        var lostSince: ContinuousClock.Instant?
        let upload = ContextUpload(api: api, tree: context)
        return try await withThrowingTaskGroup(of: Void.self) { uploads in
            defer { uploads.cancelAll() }
            while true {
                do {
                    let target = "/api/v1/builds/\(percentEncoded(build))/events?after=\(last)"
                    for try await event in try await api.lines(BuildEvent.self, "GET", target) {
                        lostSince = nil
                        last = event.sequence
                        await screen.handle(event)
                        switch event.kind {
                        case .needsContents:
                            uploads.addTask { try await upload.sendContents(for: build) }
                        case .finished(let status, _, let image, _):
                            switch status {
                            case .succeeded: return image
                            case .cancelled: throw ClientError.cancelled
                            default: throw ClientError.buildFailed
                            }
                        default: break
                        }
                    }
                    try Task.checkCancellation()
                } catch let error where ClientError.isTransient(error) {
                    try Task.checkCancellation()
                }
                let now = ContinuousClock.now
                if lostSince == nil { await screen.note("the connection to the coordinator was lost; the build goes on, connecting again") }
                guard now - (lostSince ?? now) < Self.reconnectLimit else {
                    throw ClientError.failed("the coordinator did not come back; 'farm logs -f \(build)' follows the build when it does")
                }
                lostSince = lostSince ?? now
                try await Task.sleep(for: .milliseconds(Int.random(in: 300...900)))
            }
        }
    }

    private static func newRequestID() -> String {
        var generator = SystemRandomNumberGenerator()
        return String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
    }
}
