import Digests
import FarmAPI
import NIOCore
import Transport

/// `/api/v1/agent`: what agents ask. The agent's name is that of its certificate, whatever it says itself.
struct AgentRoutes: Sendable {
    /// Often enough that both ends notice a dead connection within a lease.
    static let pingInterval = Duration.seconds(3)

    let engine: Coordinator
    let contexts: ContextStore
    let images: ImageLibrary

    var all: [Route] {
        [
            Route("POST", "/api/v1/agent/session", .agent, session),
            accept("reports", [AgentReport].self, limit: Limits.reports) { try await engine.report($0, from: $1) },
            accept("heartbeat", Heartbeat.self) { try await engine.heartbeat($0, from: $1) },
            accept("holdings", HoldingsChange.self, limit: Limits.hello) { try await engine.holdingsChanged($0, of: $1) },
            accept("volumes/copied", CopyOutcome.self) { try await engine.copied($0, from: $1) },
            accept("volumes/verified", VerifyReport.self, limit: Limits.reports) { try await engine.verified($0, from: $1) },
            accept("volumes/suspect", SuspectVolume.self) { try await engine.suspect($0, by: $1) },
            accept("volumes/release", ReleaseVolumes.self) { try await engine.release($0, from: $1) },
            answer("secrets", SecretQuery.self) { try await engine.secret($0, from: $1) },
            answer("records", RecordQuery.self) { try await engine.record($0, from: $1) },
            answer("layers/locate", LayerQuery.self) { try await engine.locate($0, from: $1) },
            answer("volumes/locate", AcquireVolumes.self) { try await engine.locateVolumes($0, from: $1) },
            answer("volumes/acquire", AcquireVolumes.self) { try await engine.acquire($0, from: $1) },
            answer("volumes/collect", CollectVolumes.self, limit: Limits.hello) { try await engine.collect($0, from: $1) },
            answer("volumes/publish", PublishVolume.self) { try await engine.publish($0, from: $1) },
            Route("GET", "/api/v1/agent/layers/{diffID}", .agent) { request in
                guard let diffID = Digest(request.parameter("diffID")) ?? Digest(hex: request.parameter("diffID")) else {
                    throw RouteError.badRequest("'\(request.parameter("diffID"))' is not a sha256 digest")
                }
                return try await images.layer(diffID)
            },
            Route("POST", "/api/v1/agent/trees", .agent) { try await contexts.sendTrees(try await DigestList.read($0.request.body)) },
            Route("POST", "/api/v1/agent/contents", .agent) { try await contexts.sendContents(try await DigestList.read($0.request.body)) },
        ]
    }

    /// A route that takes JSON and answers 204.
    private func accept<T: Decodable & Sendable>(
        _ path: String, _ type: T.Type, limit: Int = Limits.json, _ body: @escaping @Sendable (T, _ agent: String) async throws -> Void
    ) -> Route {
        Route("POST", "/api/v1/agent/\(path)", .agent) { request in
            try await body(try await request.json(type, limit: limit), request.caller.name)
            return .noContent
        }
    }

    /// A route that takes JSON and answers JSON.
    private func answer<T: Decodable & Sendable, Answer: Encodable & Sendable>(
        _ path: String, _ type: T.Type, limit: Int = Limits.json, _ body: @escaping @Sendable (T, _ agent: String) async throws -> Answer
    ) -> Route {
        Route("POST", "/api/v1/agent/\(path)", .agent) { request in
            .json(try await body(try await request.json(type, limit: limit), request.caller.name))
        }
    }

    private func session(_ request: RoutedRequest) async throws -> ServerResponse {
        let hello = try await request.json(AgentHello.self, limit: Limits.hello)
        try await engine.refuseRival(of: request.caller.name, epoch: hello.epoch)
        let commands = try await engine.openSession(of: request.caller.name, hello)
        return JSONLineStream.response { writer in
            // One writer for both: a body takes one write at a time. Commands are few, and an agent that reads none is lost soon.
            let (lines, line) = AsyncStream.makeStream(of: AgentCommand.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await command in commands {
                        line.yield(command)
                        if case .welcome = command { line.yield(.clock(await engine.wallClock())) }
                    }
                    line.finish()
                }
                group.addTask {
                    while true {
                        try await Task.sleep(for: Self.pingInterval)
                        line.yield(.clock(await engine.wallClock()))
                    }
                }
                // When the peer goes away this body is cancelled, the stream of commands loses its reader, and the engine hears of it.
                defer { group.cancelAll() }
                for await command in lines { try await writer.write(command) }
            }
        }
    }
}
