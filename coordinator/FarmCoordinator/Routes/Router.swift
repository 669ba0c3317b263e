import FarmAPI
import Logging
import NIOCore
import Transport

/// Who may ask for a route.
enum Access: Sendable {
    /// Everybody: probes.
    case anyone
    /// Any certificate of the farm, or a token.
    case member
    /// A client's certificate, the coordinator's own, or a token.
    case client
    /// An agent's certificate.
    case agent
}

/// A request that has passed authentication, with what its path says.
struct RoutedRequest: Sendable {
    let request: ServerRequest
    let caller: Caller
    /// The values of the pattern's `{name}` segments.
    let parameters: [String: String]

    /// A segment of the path; the pattern has it, or the program is wrong.
    func parameter(_ name: String) -> String { parameters[name] ?? "" }

    /// The first value of a query name.
    func query(_ name: String) -> String? { request.query.first(named: name) }

    /// All values of a query name, in order.
    func queries(_ name: String) -> [String] { request.query.filter { $0.name == name }.map(\.value) }

    /// A value that the query must have and that is not empty.
    func requiredQuery(_ name: String) throws(RouteError) -> String {
        guard let value = query(name), !value.isEmpty else { throw .badRequest("the query needs '\(name)'") }
        return value
    }

    /// A JSON body of at most `limit` bytes.
    func json<T: Decodable>(_ type: T.Type, limit: Int = Limits.json) async throws -> T {
        let body = try await request.body.collect(upTo: limit)
        do { return try FarmJSON.decode(type, from: body) } catch {
            throw RouteError.badRequest("the body is not the JSON that \(request.path) takes: \(error)")
        }
    }
}

/// One method of one path.
struct Route: Sendable {
    typealias Handler = @Sendable (RoutedRequest) async throws -> ServerResponse

    let method: String
    let pattern: [Substring]
    let access: Access
    let handler: Handler

    /// - Parameter pattern: `/api/v1/builds/{id}`; a segment in braces takes any one segment that is not empty.
    init(_ method: String, _ pattern: String, _ access: Access, _ handler: @escaping Handler) {
        self.method = method
        self.pattern = Route.segments(of: pattern[...])
        self.access = access
        self.handler = handler
    }

    var hasParameters: Bool { pattern.contains { $0.hasPrefix("{") } }

    static func segments(of path: Substring) -> [Substring] { path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) }

    /// The parameters when the path fits.
    func match(_ path: [Substring]) -> [String: String]? {
        guard path.count == pattern.count else { return nil }
        var parameters: [String: String] = [:]
        for (wanted, segment) in zip(pattern, path) {
            if wanted.hasPrefix("{") {
                guard !segment.isEmpty else { return nil }
                parameters[String(wanted.dropFirst().dropLast())] = String(segment)
            } else if wanted != segment {
                return nil
            }
        }
        return parameters
    }
}

/// Finds the route of a request, checks who asks, and makes errors into responses.
struct Router: Sendable {
    /// Routes without parameters by their path; agents use these many times a second.
    private let plain: [[Substring]: [Route]]
    private let withParameters: [Route]
    private let authentication: Authentication
    private let log: Logger

    init(routes: [Route], authentication: Authentication, log: Logger) {
        plain = Dictionary(grouping: routes.filter { !$0.hasParameters }, by: \.pattern)
        withParameters = routes.filter(\.hasParameters)
        self.authentication = authentication
        self.log = log
    }

    /// Answers any request; never throws.
    func respond(to request: ServerRequest) async -> ServerResponse {
        do {
            return try await route(request)
        } catch {
            return response(to: error, for: request)
        }
    }

    private func route(_ request: ServerRequest) async throws -> ServerResponse {
        guard request.path.hasPrefix("/"), request.path.utf8.count <= Limits.path else { throw RouteError.badRequest("bad path") }
        if let response = await SignIn.response(to: request, tokens: authentication.tokens) { return response }
        let path = Route.segments(of: request.path[...])
        var fitting = (plain[path] ?? []).map { (route: $0, parameters: [String: String]()) }
        if !fitting.contains(where: { $0.route.method == request.method }) {
            fitting += withParameters.compactMap { route in route.match(path).map { (route: route, parameters: $0) } }
        }
        // A HEAD is a GET whose body nobody sends.
        let method = request.method == "HEAD" ? "GET" : request.method
        let found = fitting.first { $0.route.method == method }
        // What exists is told only to those who may ask.
        let caller = try await authentication.check(request, access: found?.route.access ?? fitting.first?.route.access ?? .member)
        guard let found else {
            if fitting.isEmpty { throw RouteError.notFound("there is nothing at \(request.path)") }
            throw RouteError.methodNotAllowed(request.method, allowed: fitting.map(\.route.method))
        }
        let response = try await found.route.handler(RoutedRequest(request: request, caller: caller, parameters: found.parameters))
        guard request.method == "HEAD" else { return response }
        return ServerResponse(status: response.status, headers: response.headers)
    }

    private func response(to error: any Error, for request: ServerRequest) -> ServerResponse {
        let failure = RouteError(error)
        // A peer that goes away cancels its request: that is no failure of ours.
        if failure.status >= 500, !(error is CancellationError) {
            log.error("request failed", metadata: ["method": "\(request.method)", "path": "\(request.path)", "error": "\(error)"])
        } else {
            log.debug(
                "request refused", metadata: ["method": "\(request.method)", "path": "\(request.path)", "error": "\(failure.message)"])
        }
        if case .unauthorized = failure, request.path == "/" || request.path.hasPrefix("/builds/") {
            return SignInPage.response(message: failure.message)
        }
        return failure.response
    }
}
