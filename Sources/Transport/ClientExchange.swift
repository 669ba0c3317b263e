import NIOCore
import Synchronization

/// One request on its way to its response's head: one task waits, and the connection, the deadline and a cancellation race to end it.
final class ClientExchange: Sendable {
    private enum State {
        case pending(CheckedContinuation<ClientResponse, any Error>?)
        case ended(Result<ClientResponse, any Error>)
        case delivered
    }

    private struct Shared {
        var state = State.pending(nil)
        var stream: (link: HTTP2Link, id: Int32)?
        var retried = false
    }

    let request: ClientRequest
    /// The request's fields as they are sent.
    let headers: [HeaderField]
    private let shared = Mutex(Shared())
    private let restart: @Sendable (ClientExchange) -> Void

    /// - Parameter restart: sends the request anew on another connection.
    init(_ request: ClientRequest, restart: @escaping @Sendable (ClientExchange) -> Void) throws {
        self.request = request
        self.restart = restart
        var headers = request.headers.filter { !HeaderRules.framing.contains($0.name) && $0.name != "host" }
        if let bad = headers.first(where: { !HeaderRules.isSendable($0) }) { throw TransportError.invalidHeader(name: bad.name) }
        guard RequestTarget(request.target) != nil else { throw TransportError.invalidHeader(name: ":path") }
        guard !request.method.isEmpty, request.method.utf8.allSatisfy(HeaderRules.isToken) else {
            throw TransportError.invalidHeader(name: ":method")
        }
        switch request.body {
        case .none: break
        case .bytes(let bytes): headers.append(HeaderField("content-length", String(bytes.readableBytes)))
        case .stream(let length?, _): headers.append(HeaderField("content-length", String(length)))
        case .stream(nil, _): break
        }
        self.headers = headers
    }

    /// Waits for the head. Called once.
    func response() async throws -> ClientResponse {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let ended = shared.withLock { shared -> Result<ClientResponse, any Error>? in
                    switch shared.state {
                    case .pending:
                        shared.state = .pending(continuation)
                        return nil
                    case .ended(let result):
                        shared.state = .delivered
                        return result
                    case .delivered: return .failure(TransportError.closed)
                    }
                }
                if let ended { continuation.resume(with: ended) }
            }
        } onCancel: {
            cancel(CancellationError())
        }
    }

    func succeed(_ response: ClientResponse) { end(.success(response)) }

    func fail(_ error: any Error) { end(.failure(error)) }

    /// Fails, and resets the stream where there is one.
    func cancel(_ error: any Error) {
        guard end(.failure(error)), let stream = shared.withLock({ $0.stream }) else { return }
        stream.link.onLoop { $0.reset(stream.id, .cancel) }
    }

    /// True when nobody waits any more.
    var isOver: Bool {
        shared.withLock { if case .pending = $0.state { false } else { true } }
    }

    /// The request is on that stream.
    func attach(_ link: HTTP2Link, _ id: Int32) {
        let over = shared.withLock { shared in
            shared.stream = (link, id)
            if case .pending = shared.state { return false }
            return true
        }
        if over { link.onLoop { $0.reset(id, .cancel) } }
    }

    /// Sends it once more, where the server has done nothing with it and the body can be sent again; false otherwise.
    func retry() -> Bool {
        if case .stream = request.body { return false }
        let first = shared.withLock { shared in
            defer { shared.retried = true }
            shared.stream = nil
            return !shared.retried
        }
        if first { restart(self) }
        return first
    }

    @discardableResult
    private func end(_ result: Result<ClientResponse, any Error>) -> Bool {
        let (waiter, first) = shared.withLock { shared -> (CheckedContinuation<ClientResponse, any Error>?, Bool) in
            guard case .pending(let waiter) = shared.state else { return (nil, false) }
            shared.state = waiter == nil ? .ended(result) : .delivered
            return (waiter, true)
        }
        waiter?.resume(with: result)
        return first
    }
}
