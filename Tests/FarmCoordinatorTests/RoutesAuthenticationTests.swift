import FarmAPI
import Testing
import Transport

@testable import FarmCoordinator

@Suite("Who may ask for what")
struct RoutesAuthenticationTests {
    @Test func `Probes answer everybody`() async throws {
        try await TestFarm.with { farm async throws in
            for path in ["/healthz", "/readyz"] { #expect(try await farm.ask("GET", path, as: .nobody).status == 200) }
        }
    }

    @Test func `Nobody gets nothing else, not even the knowledge of what there is`() async throws {
        try await TestFarm.with { farm async throws in
            for path in ["/api/v1/builds", "/api/v1/agents", "/api/v1/nothing", "/metrics", "/api/v1/agent/session"] {
                let answer = try await farm.ask("GET", path, as: .nobody)
                #expect(answer.status == 401, "\(path)")
                let message = try answer.json(APIError.self).message
                #expect(message.contains("token create"))
            }
        }
    }

    @Test func `A browser without a token is told how to get one`() async throws {
        try await TestFarm.with { farm async throws in
            let answer = try await farm.ask("GET", "/", as: .nobody)
            #expect(answer.status == 401)
            #expect(answer.headers.first(named: "content-type") == "text/html; charset=utf-8")
            #expect(answer.text.contains("farm-coordinator token create"))
        }
    }

    @Test func `Each role has its routes`() async throws {
        try await TestFarm.with { farm async throws in
            let expected: [(String, TestFarm.Identity, Bool)] = [
                ("/api/v1/agents", .client, true), ("/api/v1/agents", .coordinator, true), ("/api/v1/agents", .agent, false),
                ("/api/v1/agent/layers/sha256:\(String(repeating: "0", count: 64))", .agent, true),
                ("/api/v1/agent/layers/sha256:\(String(repeating: "0", count: 64))", .client, false),
                ("/api/v1/agent/layers/sha256:\(String(repeating: "0", count: 64))", .coordinator, false),
                ("/metrics", .agent, true), ("/metrics", .client, true), ("/", .agent, false),
            ]
            for (path, identity, allowed) in expected {
                let status = try await farm.ask("GET", path, as: identity).status
                #expect((status != 403) == allowed, "\(path) as \(identity): \(status)")
            }
        }
    }

    @Test func `A token opens what a client's certificate opens`() async throws {
        try await TestFarm.with { farm async throws in
            let header = [HeaderField("authorization", "Bearer \(farm.token)")]
            #expect(try await farm.ask("GET", "/api/v1/agents", as: .nobody, headers: header).status == 200)
            #expect(try await farm.ask("POST", "/api/v1/agent/heartbeat", as: .nobody, headers: header).status == 403)
        }
    }

    @Test(arguments: ["Bearer farm_0000", "Basic YTpi", "Bearer", "farm"])
    func `A wrong token opens nothing`(_ value: String) async throws {
        try await TestFarm.with { farm async throws in
            let answer = try await farm.ask("GET", "/api/v1/agents", as: .nobody, headers: [HeaderField("authorization", value)])
            #expect(answer.status == 401)
        }
    }

    @Test func `The page's cookie reads, and changes nothing`() async throws {
        try await TestFarm.with { farm async throws in
            let answer = try await farm.ask("GET", "/?token=\(farm.token)", as: .nobody)
            #expect(answer.status == 303)
            #expect(answer.headers.first(named: "location") == "/")
            let cookie = try #require(answer.headers.first(named: "set-cookie"))
            for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] { #expect(cookie.contains(part)) }
            let pair = String(try #require(cookie.split(separator: ";").first))
            let header = [HeaderField("cookie", "other=1; \(pair)")]
            #expect(try await farm.ask("GET", "/api/v1/agents", as: .nobody, headers: header).status == 200)
            #expect(try await farm.ask("POST", "/api/v1/agents/x/drain", as: .nobody, headers: header).status == 401)
            #expect(try await farm.ask("GET", "/?token=wrong", as: .nobody).status == 401)
        }
    }

    @Test func `A token that is made while the coordinator runs is known at once, and one that is removed is not`() async throws {
        try await TestFarm.with { farm async throws in
            let file = "\(farm.directory)/data/tokens"
            let token = try TokenStore.create(name: "ci", file: file)
            let header = [HeaderField("authorization", "Bearer \(token)")]
            #expect(try await farm.ask("GET", "/api/v1/agents", as: .nobody, headers: header).status == 200)
            try FileAccess.replace(file, with: [], mode: 0o600)
            #expect(try await farm.ask("GET", "/api/v1/agents", as: .nobody, headers: header).status == 401)
        }
    }

    @Test func `An unknown route is 404, another method 405`() async throws {
        try await TestFarm.with { farm async throws in
            let nothing = try await farm.ask("GET", "/api/v1/nothing")
            #expect(nothing.status == 404)
            let message = try nothing.json(APIError.self).message
            #expect(message.contains("/api/v1/nothing"))
            let other = try await farm.ask("PATCH", "/api/v1/images")
            #expect(other.status == 405)
            #expect(other.headers.first(named: "allow")?.contains("PUT") == true)
            #expect(try await farm.ask("GET", "/api/v1/agents/").status == 404)
        }
    }
}
