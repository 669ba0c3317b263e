import NIOCore
import Transport

/// Brings the two ends of an export together: the client that asked for the archive and the agent that makes it.
///
/// The client's request opens an export and waits in ``Export/firstPart()``; the agent's request gives its body to ``deliver(_:body:)``
/// and waits there until the client has read it or has gone. Each part of the archive is read from the agent when the client has taken
/// the one before: nothing is stored here, and the slower of the two holds the other back.
actor ExportBridge {
    private var exports: [String: Export] = [:]

    /// The client's end.
    func open(_ id: String) -> Export {
        let export = Export()
        exports[id] = export
        return export
    }

    /// The client's end is done, however it went: an agent that still sends is told to stop.
    func close(_ id: String) {
        exports.removeValue(forKey: id)?.close()
    }

    /// The agent's end: returns when the archive has gone through; throws ``RouteError`` when nobody wants it.
    func deliver(_ id: String, body: InboundBody) async throws {
        guard let export = exports[id] else { throw Self.unwanted }
        try await export.deliver(body)
    }

    /// The agent can't make the archive.
    func fail(_ id: String, message: String) throws {
        guard let export = exports[id] else { throw Self.unwanted }
        export.fail(message)
    }

    static let unwanted = RouteError.notFound("nobody waits for this export any more")
}

/// One export on its way.
final class Export: Sendable {
    /// What the agent's end tells the client's.
    private enum Arrival: Sendable {
        case body(InboundBody)
        case failed(String)
    }

    // Two one-shot signals. A stream keeps a value for a reader that comes later, and ends its reader when the reader's task is cancelled.
    private let arrival = AsyncStream.makeStream(of: Arrival.self, bufferingPolicy: .bufferingOldest(1))
    private let outcome = AsyncStream.makeStream(of: Bool.self, bufferingPolicy: .bufferingOldest(1))

    /// Waits for the agent; gives the archive's first bytes and, from there on, the rest. Throws ``RouteError/badGateway(_:)`` when the agent fails or `timeout` passes.
    func firstPart(timeout: Duration) async throws -> (first: ByteBuffer, rest: InboundBody) {
        let waited = try await withThrowingTaskGroup(of: Arrival?.self) { group in
            group.addTask { [arrival] in
                for await value in arrival.stream { return value }
                return nil
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                return .failed("no agent began to send the archive within \(timeout)")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        try Task.checkCancellation()
        switch waited {
        case .body(let body):
            var parts = body.makeAsyncIterator()
            do {
                guard let first = try await parts.next() else { throw RouteError.badGateway("the agent sent an empty archive") }
                return (first, body)
            } catch let error as RouteError {
                throw error
            } catch {
                throw RouteError.badGateway("the agent broke off before the archive began: \(error)")
            }
        case .failed(let message): throw RouteError.badGateway(message)
        case nil: throw RouteError.badGateway("the export was given up")
        }
    }

    /// The client has everything.
    func succeed() { outcome.continuation.yield(true) }

    fileprivate func close() {
        outcome.continuation.finish()
        arrival.continuation.finish()
    }

    fileprivate func deliver(_ body: InboundBody) async throws {
        guard case .enqueued = arrive(.body(body)) else { throw ExportBridge.unwanted }
        for await complete in outcome.stream where complete { return }
        throw RouteError.conflict("the client that wanted this export has gone")
    }

    fileprivate func fail(_ message: String) { _ = arrive(.failed(message)) }

    // The first word counts: whoever comes after it is turned away.
    private func arrive(_ value: Arrival) -> AsyncStream<Arrival>.Continuation.YieldResult {
        defer { arrival.continuation.finish() }
        return arrival.continuation.yield(value)
    }
}
