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

    /// What a build made.
    struct Outcome: Sendable {
        /// Of the only image, or of the last one; nil where nobody waited for it.
        var image: BuildDescription.Image?
        /// By name, where the file makes several.
        var images: [String: BuildDescription.Image] = [:]
    }

    /// Runs until the build has ended; returns its images. Throws ``ClientError``.
    func run() async throws -> (build: String, outcome: Outcome) {
        let context = try await loadContext()
        let build = try await start(context)
        await screen.accepted(build, page: page(build))
        do {
            if options.detach {
                try await ContextUpload(api: api, tree: context).sendAllContents(for: build)
                return (build, Outcome())
            }
            return (build, try await follow(build, context: context))
        } catch is CancellationError {
            // The task was cancelled by a signal: the build goes with it, told outside of the cancelled task.
            await cancel(build)
            throw ClientError.cancelled
        } catch let unmet as Unmet {
            // Nobody else has it: the build would wait in vain.
            await cancel(build)
            throw unmet.reason
        }
    }

    private func loadContext() async throws -> ContextTree {
        let vertex = await screen.begin("load \(source.origin)")
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
        var request = SubmitRequest(
            project: source.project, dockerfile: source.werf == nil ? source.text : "", dockerfileName: source.name,
            contextRoot: context.root, options: options.build, requestID: Self.newRequestID())
        request.werf = source.werf?.request
        let answer = try await submit(request)
        // Before it starts, where that can be: its first step may want them, and with --detach nobody is there later.
        if options.detach || !source.secrets.values.isEmpty {
            try await persistently(answer.build) { try await sendSecrets(for: answer.build) }
        }
        if !answer.started {
            let upload = ContextUpload(api: api, tree: context)
            try await persistently(answer.build) {
                try await upload.sendObjects()
                try await api.post("/api/v1/builds/\(percentEncoded(answer.build))/start", [String: String]())
            }
        }
        return answer.build
    }

    /// The request's id makes it one build, however often it is asked for. A coordinator that was never reached is an error at once.
    private func submit(_ request: SubmitRequest) async throws -> SubmitResponse {
        var reconnection = Reconnection()
        var wasReached = false
        while true {
            do {
                return try await api.post(SubmitResponse.self, "/api/v1/builds", request)
            } catch let error {
                if case TransportError.connectFailed = error, !wasReached { throw error }
                wasReached = true
                try await reconnection.wait(after: error, otherwise: "submit again") { await screen.note($0) }
            }
        }
    }

    private func persistently(_ build: String, _ body: () async throws -> Void) async throws {
        var reconnection = Reconnection()
        while true {
            do {
                return try await body()
            } catch {
                try await reconnection.wait(after: error, otherwise: "submit again") { await screen.note($0) }
            }
        }
    }

    /// All that there are, also none: the coordinator learns from it which there are not.
    private func sendSecrets(for build: String) async throws {
        try await api.post("/api/v1/builds/\(percentEncoded(build))/secrets", BuildSecrets(source.secrets.values))
    }

    // Asked for again by a coordinator that was started anew: it keeps them in memory only.
    private func sendSecretsAgain(for build: String) async throws {
        while true {
            do {
                try await sendSecrets(for: build)
                return
            } catch let error where ClientError.isTransient(error) {
                try await Task.sleep(for: .milliseconds(Int.random(in: 300...900)))
            }
        }
    }

    /// What the coordinator asks for while a build runs.
    private enum Demand: Sendable { case contents, secrets }

    /// Something that the build needs can't be sent: a file has changed meanwhile, for instance.
    private struct Unmet: Error { var reason: any Error }

    private func follow(_ build: String, context: ContextTree) async throws -> Outcome {
        let (demands, demand) = AsyncStream.makeStream(of: Demand.self)
        return try await withThrowingTaskGroup(of: Outcome?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await followEvents(of: build) { demand.yield($0) } }
            group.addTask {
                do { try await meet(demands, of: build, context) } catch let error where !(error is CancellationError) {
                    throw Unmet(reason: error)
                }
                return nil
            }
            while let outcome = try await group.next() { if let outcome { return outcome } }
            throw CancellationError()
        }
    }

    private func meet(_ demands: AsyncStream<Demand>, of build: String, _ context: ContextTree) async throws {
        let upload = ContextUpload(api: api, tree: context)
        try await withThrowingDiscardingTaskGroup { uploads in
            for await demand in demands {
                uploads.addTask {
                    switch demand {
                    case .contents: try await upload.sendContents(for: build)
                    case .secrets: try await sendSecretsAgain(for: build)
                    }
                }
            }
        }
    }

    private func followEvents(of build: String, _ demand: (Demand) -> Void) async throws -> Outcome {
        var last = 0
        var reconnection = Reconnection()
        while true {
            do {
                let target = "/api/v1/builds/\(percentEncoded(build))/events?after=\(last)"
                let lines = try await api.lines(BuildEvent.self, "GET", target)
                reconnection.reached()
                for try await event in lines {
                    reconnection.succeeded()
                    last = event.sequence
                    await screen.handle(event)
                    switch event.kind {
                    case .needsContents: demand(.contents)
                    case .needsSecrets: demand(.secrets)
                    case .finished(let status, _, let image, let images):
                        switch status {
                        case .succeeded: return Outcome(image: image, images: images ?? [:])
                        case .cancelled: throw ClientError.cancelled
                        default: throw ClientError.buildFailed
                        }
                    default: break
                    }
                }
                try await wait(&reconnection, after: nil, build)
            } catch let error where ClientError.isTransient(error) {
                try await wait(&reconnection, after: error, build)
            }
        }
    }

    /// In a task of its own: this one may have been cancelled.
    private func cancel(_ build: String) async {
        let api = api
        await Task { try? await api.post("/api/v1/builds/\(percentEncoded(build))/cancel", [String: String](), deadline: .seconds(5)) }
            .value
    }

    private func wait(_ reconnection: inout Reconnection, after error: (any Error)?, _ build: String) async throws {
        try await reconnection.wait(after: error, otherwise: "'farm logs -f \(build)' follows the build when it does") { text in
            await screen.note("\(text) (the build goes on)")
        }
    }

    private static func newRequestID() -> String {
        var generator = SystemRandomNumberGenerator()
        return String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
    }
}
