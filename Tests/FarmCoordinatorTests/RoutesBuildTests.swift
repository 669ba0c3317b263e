import BuildPlan
import Digests
import FarmAPI
import FileTree
import NIOCore
import Testing
import Transport

@testable import FarmCoordinator

@Suite("Builds, agents and the page by their routes")
struct RoutesBuildTests {
    private static func submission(_ id: String = "r1", context: Digest? = nil, dockerfile: String = "FROM scratch\nWORKDIR /a\n")
        -> SubmitRequest
    {
        SubmitRequest(
            project: "app", dockerfile: dockerfile, dockerfileName: "Dockerfile", contextRoot: context, options: BuildOptions(),
            requestID: id)
    }

    private static func hello() -> AgentHello {
        AgentHello(
            epoch: "e1", labels: ["os": "linux", "arch": Platform.ofThisMachine.architecture], slots: 2, address: "127.0.0.1:1",
            runtime: "crun", version: "1", assignments: [], layers: [], volumes: [])
    }

    private func submit(_ farm: TestFarm, _ request: SubmitRequest) async throws -> SubmitResponse {
        let answer = try await farm.ask("POST", "/api/v1/builds", body: bytes(try FarmJSON.encode(request)))
        #expect(answer.status == 201, "\(answer.text)")
        return try answer.json(SubmitResponse.self)
    }

    @Test func `A build is submitted, described, listed, cancelled, and its events end`() async throws {
        try await TestFarm.with { farm async throws in
            let build = try await submit(farm, Self.submission()).build
            #expect(try await submit(farm, Self.submission()).build == build)
            #expect(try await farm.ask("GET", "/api/v1/builds/\(build)").json(BuildDescription.self).project == "app")
            #expect(try await farm.ask("GET", "/api/v1/builds?limit=5").json([BuildDescription].self).map(\.id) == [build])
            #expect(try await farm.ask("POST", "/api/v1/builds/\(build)/cancel", body: bytes(Array("{}".utf8))).status == 204)
            // Two readers, one of them late.
            for _ in 0..<2 {
                let lines = try await farm.ask("GET", "/api/v1/builds/\(build)/events?after=0").text.split(separator: "\n")
                let events = try lines.map { try FarmJSON.decode(BuildEvent.self, from: $0.utf8) }
                #expect(events.map(\.sequence) == Array(1...events.count))
                guard case .finished(let status, _, _, _) = try #require(events.last).kind else {
                    Issue.record("the last event is not `finished`")
                    return
                }
                #expect(status == .cancelled)
                let rest = try await farm.ask("GET", "/api/v1/builds/\(build)/events?after=\(events.count - 1)").text
                #expect(rest.split(separator: "\n").count == 1)
            }
        }
    }

    @Test func `Events that are not followed end where the build is`() async throws {
        try await TestFarm.with { farm async throws in
            let build = try await submit(farm, Self.submission()).build
            let text = try await farm.ask("GET", "/api/v1/builds/\(build)/events?follow=false").text
            #expect(!text.contains("finished"))
        }
    }

    @Test func `File contents come as a pack and go out as one`() async throws {
        try await TestFarm.with { farm async throws in
            let file = Array("hello".utf8)
            let root = TreeObject(entries: [
                TreeEntry(name: Array("a.txt".utf8), mode: 0o644, modified: 1, content: .file(Digest.of(file), size: UInt64(file.count)))
            ])
            let request = Self.submission(context: root.digest, dockerfile: "FROM scratch\nCOPY a.txt /\n")
            let answer = try await submit(farm, request)
            #expect(!answer.started)
            let base = "/api/v1/builds/\(answer.build)"
            #expect(try await farm.ask("POST", base + "/start").status == 409)
            let object = root.encoded()
            let framed = withUnsafeBytes(of: UInt32(object.count).littleEndian) { Array($0) } + object
            #expect(try await farm.ask("POST", "/api/v1/trees", body: bytes(framed)).status == 204)
            #expect(try await farm.ask("POST", base + "/start").status == 204)
            // The stream says when the coordinator knows what it lacks.
            let client = farm.client()
            let response = try await client.send(ClientRequest(method: "GET", target: base + "/events"))
            for try await event in JSONLines<BuildEvent>(body: response.body) { if case .needsContents = event.kind { break } }
            await client.close()
            #expect(try await farm.ask("GET", base + "/needs").body == Digest.of(file).bytes)
            #expect(try await farm.ask("POST", base + "/contents", body: bytes(Array("FCP1 no pack".utf8))).status == 400)
            var pack = Array("FCP1".utf8) + [1] + Digest.of(file).bytes
            pack += withUnsafeBytes(of: UInt64(file.count).littleEndian) { Array($0) } + file + [0]
            var wrong = pack
            wrong[wrong.count - 2] ^= 1
            #expect(try await farm.ask("POST", base + "/contents", body: bytes(wrong)).status == 400)
            #expect(try await farm.ask("GET", base + "/needs").body == Digest.of(file).bytes)
            #expect(try await farm.ask("POST", base + "/contents", body: bytes(pack)).status == 204)
            #expect(try await farm.ask("GET", base + "/needs").body == [])
            let fetched = try await farm.ask("POST", "/api/v1/agent/contents", as: .agent, body: bytes(Digest.of(file).bytes))
            #expect(fetched.body == pack)
            #expect(try await farm.ask("POST", "/api/v1/builds/none/contents", body: bytes(pack)).status == 404)
        }
    }

    @Test func `An agent's session brings its welcome, and the farm knows the agent by its certificate`() async throws {
        try await TestFarm.with { farm async throws in
            let client = farm.client(.agent)
            let response = try await client.send(
                ClientRequest(method: "POST", target: "/api/v1/agent/session", body: bytes(try FarmJSON.encode(Self.hello()))))
            #expect(response.status == 200)
            var commands = JSONLines<AgentCommand>(body: response.body).makeAsyncIterator()
            guard case .welcome(let key, _) = try await commands.next() else {
                Issue.record("the first command is not the welcome")
                return
            }
            #expect(key.utf8.count == 64)
            let agents = try await farm.ask("GET", "/api/v1/agents").json([AgentDescription].self)
            #expect(agents.map(\.name) == [TestFarm.agentName])
            #expect(try await farm.ask("POST", "/api/v1/agents/\(TestFarm.agentName)/drain").status == 204)
            #expect(try await farm.ask("POST", "/api/v1/agents/nobody/drain").status == 404)
            #expect(try await farm.ask("GET", "/").text.contains(TestFarm.agentName))
            #expect(try await farm.ask("GET", "/metrics").text.contains("farm_agents{state=\"draining\"} 1"))
            await client.close()
        }
    }

    @Test(arguments: ["{", "[]", "{}", "{\"project\":\"\"}", "null"])
    func `What is no submission is refused`(_ body: String) async throws {
        try await TestFarm.with { farm async throws in
            #expect(try await farm.ask("POST", "/api/v1/builds", body: bytes(body.utf8)).status == 400)
        }
    }

    @Test(arguments: [
        "session", "reports", "heartbeat", "records", "layers/locate", "volumes/locate", "volumes/acquire", "volumes/publish",
        "volumes/release", "holdings",
    ])
    func `An agent's route takes no nonsense`(_ path: String) async throws {
        try await TestFarm.with { farm async throws in
            let answer = try await farm.ask("POST", "/api/v1/agent/\(path)", as: .agent, body: bytes(Array("{\"a\":".utf8)))
            #expect(answer.status == 400)
            let message = try answer.json(APIError.self).message
            #expect(message.contains("JSON"))
        }
    }

    @Test func `A body beyond its limit is refused`() async throws {
        try await TestFarm.with { farm async throws in
            let body = [UInt8](repeating: UInt8(ascii: " "), count: Limits.json + 1)
            #expect(try await farm.ask("POST", "/api/v1/agent/heartbeat", as: .agent, body: bytes(body)).status == 413)
        }
    }

    @Test(arguments: ["/api/v1/builds/none", "/api/v1/builds/none/events", "/api/v1/builds/none/needs", "/builds/none"])
    func `A build that is not there is 404`(_ path: String) async throws {
        try await TestFarm.with { farm async throws in #expect(try await farm.ask("GET", path).status == 404) }
    }

    @Test(arguments: ["?type=zip", "", "?type=oci&compression=gzip", "?type=oci&tag="])
    func `An export that can't be is refused by name`(_ query: String) async throws {
        try await TestFarm.with { farm async throws in
            #expect(try await farm.ask("GET", "/api/v1/builds/none/export\(query)").status == 400)
        }
    }

    @Test(arguments: ["?limit=0", "?limit=x", "?limit=-1"])
    func `A list's limit must be a number`(_ query: String) async throws {
        try await TestFarm.with { farm async throws in #expect(try await farm.ask("GET", "/api/v1/builds\(query)").status == 400) }
    }

    @Test func `Volumes are listed, and one that is not there can't be removed`() async throws {
        try await TestFarm.with { farm async throws in
            #expect(try await farm.ask("GET", "/api/v1/volumes").json([VolumeDescription].self).isEmpty)
            #expect(try await farm.ask("DELETE", "/api/v1/volumes?project=a&id=b").status == 404)
            #expect(try await farm.ask("DELETE", "/api/v1/volumes?project=a").status == 400)
        }
    }
}
