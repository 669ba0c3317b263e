import Daemon
import FarmAPI
import Transport

/// The pages for people.
struct PageRoutes: Sendable {
    let engine: Coordinator
    let images: ImageLibrary

    var all: [Route] {
        [
            Route("GET", "/", .client) { _ in
                let page = HomePage(
                    agents: await engine.agents(), builds: try await engine.builds(limit: HomePage.buildLimit),
                    volumes: await engine.volumes(), images: try await images.list(), now: .now)
                return PageFrame.response(title: "Farm", live: true, page.content)
            },
            Route("GET", "/builds/{id}", .client) { request in
                let build = try await engine.describe(request.parameter("id"))
                let volumes = await engine.volumes().filter { $0.project == build.project }
                return PageFrame.response(
                    title: "\(build.project): \(build.status.rawValue)", live: true,
                    events: "/api/v1/builds/\(percentEncoded(build.id))/events",
                    BuildPage(build: build, volumes: volumes, now: .now).content)
            },
        ]
    }
}

/// `/?token=…`: the browser gets the token as a cookie, and the address loses it.
enum SignIn {
    /// Thirty days; the token itself is good until its line is removed.
    static let cookieLifetime = 30 * 86_400

    /// The answer to a request that brings a token in its query; nil for any other.
    static func response(to request: ServerRequest, tokens: TokenStore) async -> ServerResponse? {
        guard request.method == "GET", request.path == "/", let token = request.query.first(named: "token") else { return nil }
        guard await tokens.name(of: token) != nil else { return SignInPage.response(message: "This token is not known here.") }
        // What is stored is hexadecimal with a prefix: nothing of it has a meaning in a cookie.
        let cookie = "\(Authentication.cookie)=\(token); Path=/; Max-Age=\(cookieLifetime); HttpOnly; Secure; SameSite=Strict"
        return ServerResponse(
            status: 303,
            headers: [
                HeaderField("location", "/"), HeaderField("set-cookie", cookie), HeaderField("cache-control", "no-store"),
                HeaderField("referrer-policy", "no-referrer"),
            ])
    }
}
