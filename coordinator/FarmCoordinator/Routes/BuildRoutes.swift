import Digests
import FarmAPI
import NIOCore
import Store
import Transport

/// `/api/v1/builds`: submitting, following and looking at builds.
struct BuildRoutes: Sendable {
    let engine: Coordinator
    let contexts: ContextStore

    var all: [Route] {
        [
            Route("POST", "/api/v1/builds", .client) { request in
                let submission = try await request.json(SubmitRequest.self, limit: Limits.submission)
                guard (1...Limits.name).contains(submission.project.utf8.count) else {
                    throw RouteError.badRequest("a project's name has 1 to \(Limits.name) bytes")
                }
                guard (1...Limits.name).contains(submission.requestID.utf8.count) else {
                    throw RouteError.badRequest("requestID must have 1 to \(Limits.name) bytes")
                }
                return .json(try await engine.submit(submission, user: request.caller.name), status: 201)
            },
            Route("GET", "/api/v1/builds", .client) { request in
                let limit = try count(request, "limit", default: Limits.defaultBuilds, in: 1...Limits.builds)
                return .json(try await engine.builds(limit: limit))
            },
            Route("GET", "/api/v1/builds/{id}", .client) { .json(try await engine.describe($0.parameter("id"))) },
            Route("POST", "/api/v1/builds/{id}/start", .client) { request in
                try await engine.start(request.parameter("id"))
                return .noContent
            },
            Route("POST", "/api/v1/builds/{id}/cancel", .client) { request in
                try await engine.cancel(request.parameter("id"))
                return .noContent
            },
            Route("POST", "/api/v1/builds/{id}/secrets", .client) { request in
                let secrets = try await request.json(BuildSecrets.self, limit: BuildSecrets.requestLimit)
                try await engine.takeSecrets(secrets, of: request.parameter("id"), user: request.caller.name)
                return .noContent
            },
            Route("GET", "/api/v1/builds/{id}/events", .client, events),
            Route("GET", "/api/v1/builds/{id}/needs", .client) { request in
                // For a client that will leave: not before all is known.
                guard request.query("settled") == "true" else {
                    return .octets(DigestList.bytes(of: try await engine.needs(of: request.parameter("id"))))
                }
                guard let needs = try await engine.settledNeeds(of: request.parameter("id")) else { return ServerResponse(status: 202) }
                return .octets(DigestList.bytes(of: needs))
            },
            Route("POST", "/api/v1/builds/{id}/contents", .client) { request in
                // A build that is not there must not fill the disk.
                let build = try await engine.describe(request.parameter("id")).id
                try await contexts.receiveContents(request.request.body)
                try await engine.contentsArrived(for: build)
                return .noContent
            },
        ]
    }

    private func events(_ request: RoutedRequest) async throws -> ServerResponse {
        let after = try count(request, "after", default: 0, in: 0...Int.max)
        let events = try await engine.events(of: request.parameter("id"), after: after)
        let follow = request.query("follow") != "false"
        return JSONLineStream.response { writer in
            var pages = events.pages
            if follow {
                while let page = try await pages.next() { try await writer.write(page) }
            } else {
                while case let page = try await pages.nextStored(), !page.isEmpty { try await writer.write(page) }
            }
        }
    }

    private func count(_ request: RoutedRequest, _ name: String, default value: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let text = request.query(name) else { return value }
        guard let number = Int(text), range.contains(number) else {
            throw RouteError.badRequest("\(name)=\(text): must be a number from \(range.lowerBound) on")
        }
        return min(number, range.upperBound)
    }
}

/// A response of JSON values, one a line, each sent at once.
enum JSONLineStream {
    /// Writes values of a body that is under way.
    struct Writer: Sendable {
        let body: BodyWriter

        func write(_ value: some Encodable & Sendable) async throws {
            var line = try FarmJSON.encode(value)
            line.append(UInt8(ascii: "\n"))
            try await body.write(line)
        }

        /// Lines that are JSON already.
        func write(_ lines: [EventLine]) async throws {
            var buffer = ByteBuffer()
            buffer.reserveCapacity(lines.reduce(0) { $0 + $1.json.count + 1 })
            for line in lines {
                buffer.writeBytes(line.json)
                buffer.writeInteger(UInt8(ascii: "\n"))
            }
            try await body.write(buffer)
        }
    }

    static func response(_ produce: @escaping @Sendable (Writer) async throws -> Void) -> ServerResponse {
        ServerResponse(
            status: 200, headers: [HeaderField("content-type", "application/jsonl"), HeaderField("cache-control", "no-store")],
            body: .stream(length: nil) { try await produce(Writer(body: $0)) })
    }
}

/// Digests in a body: 32 bytes each, one after another.
enum DigestList {
    static func bytes(of digests: [Digest]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digests.count * Digest.byteCount)
        for digest in digests { digest.withUnsafeBytes { bytes.append(contentsOf: $0) } }
        return bytes
    }

    /// Reads a body of digests; at most ``Limits/digests``.
    static func read(_ body: InboundBody) async throws -> [Digest] {
        let buffer = try await body.collect(upTo: Limits.digests * Digest.byteCount)
        let bytes = buffer.readableBytesView
        guard bytes.count % Digest.byteCount == 0 else {
            throw RouteError.badRequest("the body must be digests of \(Digest.byteCount) bytes each, and has \(bytes.count)")
        }
        return stride(from: bytes.startIndex, to: bytes.endIndex, by: Digest.byteCount).compactMap {
            Digest(bytes: bytes[$0..<$0 + Digest.byteCount])
        }
    }
}
