import FarmAPI
import Transport

/// Who asks.
enum Caller: Sendable, Hashable {
    case anyone
    /// By certificate.
    case peer(name: String, role: String)
    /// By bearer token or the page's cookie.
    case token(name: String)

    /// The name for logs, and the agent's name on agents' routes.
    var name: String {
        switch self {
        case .anyone: ""
        case .peer(let name, _): name
        case .token(let name): name
        }
    }
}

/// Decides whether a request may pass: by the certificate that TLS has verified, else by a bearer token, else by the page's cookie.
struct Authentication: Sendable {
    /// The cookie's name demands of browsers that it came from this very host over HTTPS.
    static let cookie = "__Host-farm-token"

    let tokens: TokenStore

    /// Who asks, if that one may.
    func check(_ request: ServerRequest, access: Access) async throws(RouteError) -> Caller {
        if case .anyone = access { return .anyone }
        let caller = try await identify(request)
        switch (access, caller) {
        case (.anyone, _), (.member, .token), (.client, .token): return caller
        case (.member, .peer(_, let role)) where [Role.client, Role.agent, Role.coordinator].contains(role): return caller
        case (.client, .peer(_, let role)) where [Role.client, Role.coordinator].contains(role): return caller
        case (.agent, .peer(_, let role)) where role == Role.agent: return caller
        case (_, .peer(let name, let role)):
            throw .forbidden("the certificate of '\(name)' has the role '\(role)', which may not do this")
        case (_, .token(let name)): throw .forbidden("'\(name)' has a token; this needs an agent's certificate")
        case (_, .anyone): throw Self.missing
        }
    }

    private func identify(_ request: ServerRequest) async throws(RouteError) -> Caller {
        if let peer = request.peer { return .peer(name: peer.commonName, role: peer.role) }
        if let header = request.headers.first(named: "authorization") {
            guard let token = Self.bearer(header) else { throw .unauthorized("the authorization header must be `Bearer TOKEN`") }
            guard let name = await tokens.name(of: token) else { throw .unauthorized("this token is not known here") }
            return .token(name: name)
        }
        // Browsers send cookies along; what changes something takes more than that.
        if request.method == "GET" || request.method == "HEAD", let token = Self.cookie(in: request.headers) {
            guard let name = await tokens.name(of: token) else {
                throw .unauthorized("the token of this browser is not known here any more")
            }
            return .token(name: name)
        }
        throw Self.missing
    }

    private static let missing = RouteError.unauthorized(
        "show a certificate of this farm (`certificate` and `key` in client.yaml) or a token (`token`); "
            + "an operator makes them with `farm-coordinator enroll client NAME` and `farm-coordinator token create NAME`")

    static func bearer(_ header: String) -> String? {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer", !parts[1].isEmpty else { return nil }
        return String(parts[1])
    }

    /// The token of the page's cookie. A browser may send its cookies in one field or in several.
    static func cookie(in headers: [HeaderField]) -> String? {
        for header in headers where header.name == "cookie" {
            for pair in header.value.split(separator: ";") {
                let pair = pair.drop { $0 == " " }
                if pair.hasPrefix(cookie + "=") { return String(pair.dropFirst(cookie.count + 1)) }
            }
        }
        return nil
    }
}
