import FarmAPI
import NIOCore
import Transport

/// `GET /api/v1/builds/{id}/export` and the agents' side of it.
struct ExportRoutes: Sendable {
    /// The agent may have to bring layers from others first; a client that waits longer than this is better told.
    static let patience = Duration.seconds(600)

    let engine: Coordinator
    let bridge: ExportBridge

    var all: [Route] {
        [
            Route("GET", "/api/v1/builds/{id}/export", .client, export),
            Route("POST", "/api/v1/agent/exports/{id}", .agent) { request in
                try await bridge.deliver(request.parameter("id"), body: request.request.body)
                return .noContent
            },
            Route("POST", "/api/v1/agent/exports/{id}/failure", .agent) { request in
                let failure = try await request.json(APIError.self)
                try await bridge.fail(request.parameter("id"), message: failure.message)
                return .noContent
            },
        ]
    }

    private func export(_ request: RoutedRequest) async throws -> ServerResponse {
        let type = try exportType(request)
        let tags = request.queries("tag")
        guard tags.count <= Limits.tags, tags.allSatisfy({ !$0.isEmpty && $0.utf8.count <= Limits.name }) else {
            throw RouteError.badRequest("at most \(Limits.tags) tags of at most \(Limits.name) bytes")
        }
        // A HEAD must not set an agent to work.
        guard request.request.method == "GET" else { return ServerResponse(status: 200) }
        var tried: Set<String> = []
        var failure: RouteError?
        while true {
            let id = RandomName.make()
            let export = await bridge.open(id)
            let agent: String
            do {
                agent = try await engine.orderExport(
                    id: id, build: request.parameter("id"), image: request.query("image"), type: type, tags: tags, besides: tried)
            } catch {
                await end(id)
                // Nobody is left who could: what the last one said tells more.
                throw failure ?? error
            }
            do {
                return try await answer(id, export, from: agent)
            } catch let error as RouteError {
                await end(id)
                // Before the first byte: another agent may have the layers, or the room for them.
                guard case .badGateway(let message) = error, !Task.isCancelled else { throw error }
                tried.insert(agent)
                failure = .badGateway(tried.count > 1 ? "\(message) (\(tried.count) agents were asked)" : message)
            } catch {
                await end(id)
                throw error
            }
        }
    }

    /// The archive as the agent sends it, once it has begun.
    private func answer(_ id: String, _ export: Export, from agent: String) async throws -> ServerResponse {
        let (first, body) = try await withThrowingTaskGroup { group in
            group.addTask { try await export.firstPart(timeout: Self.patience) }
            group.addTask { [engine] in
                await engine.exporterLost(id)
                try Task.checkCancellation()
                throw RouteError.badGateway("\(agent), which made the archive, was lost before it began to send")
            }
            defer { group.cancelAll() }
            guard let begun = try await group.next() else { throw CancellationError() }
            return begun
        }
        return ServerResponse(
            status: 200, headers: [HeaderField("content-type", "application/x-tar")],
            body: .stream(length: nil) { writer in
                do {
                    try await writer.write(first)
                    for try await part in body { try await writer.write(part) }
                    export.succeed()
                    await end(id)
                } catch {
                    await end(id)
                    throw error
                }
            })
    }

    private func end(_ id: String) async {
        await bridge.close(id)
        await engine.exportEnded(id)
    }

    private func exportType(_ request: RoutedRequest) throws -> ExportType {
        let word = try request.requiredQuery("type")
        guard let type = ExportType(rawValue: word) else { throw RouteError.badRequest("type=\(word): must be oci, docker or tar") }
        if let compression = request.query("compression"), compression != "uncompressed" {
            throw RouteError.badRequest("compression=\(compression) is not supported yet; layers are uncompressed")
        }
        return type
    }
}

/// Names that nobody can guess.
enum RandomName {
    /// 32 hexadecimal digits: 128 random bits.
    static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<2).map { _ in
            let digits = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }
}
