import BuildPlan
import FarmAPI
import NIOCore
import Synchronization
import Testing
import Transport

@testable import FarmCoordinator

@Suite("An export over real connections", .timeLimit(.minutes(1)))
struct RoutesExportTests {
    /// Far more than all buffers and windows on the way hold together.
    private static let parts = 512
    private static let part = [UInt8](repeating: 7, count: 256 << 10)

    /// A build that needs no agent to end, and an agent's session to order its export from.
    private func with(
        _ body: (TestFarm, _ build: String, _ order: ExportOrder, _ client: Task<ClientResponse, any Error>, _ http: HTTPClient)
            async throws ->
            Void
    ) async throws {
        try await TestFarm.with { farm async throws in
            let agent = farm.client(.agent)
            let hello = AgentHello(
                epoch: "e1", labels: ["os": "linux", "arch": Platform.ofThisMachine.architecture], slots: 2, address: "127.0.0.1:1",
                runtime: "crun", version: "1", assignments: [], layers: [], volumes: [])
            let session = try await agent.send(
                ClientRequest(method: "POST", target: "/api/v1/agent/session", body: bytes(try FarmJSON.encode(hello))))
            var commands = JSONLines<AgentCommand>(body: session.body).makeAsyncIterator()
            let request = SubmitRequest(
                project: "app", dockerfile: "FROM scratch\nENV A=b\n", dockerfileName: "Dockerfile", contextRoot: nil,
                options: BuildOptions(), requestID: "r1")
            let build = try await farm.ask("POST", "/api/v1/builds", body: bytes(try FarmJSON.encode(request))).json(SubmitResponse.self)
                .build
            let events = try await farm.ask("GET", "/api/v1/builds/\(build)/events").text
            #expect(events.contains("\"succeeded\""), "\(events)")
            let http = farm.client()
            let client = Task {
                try await http.send(
                    ClientRequest(method: "GET", target: "/api/v1/builds/\(build)/export?type=oci&tag=app:1&tag=app:2"),
                    deadline: .seconds(30))
            }
            while let command = try await commands.next() {
                guard case .export(let order) = command else { continue }
                #expect(order.tags == ["app:1", "app:2"])
                try await body(farm, build, order, client, http)
                break
            }
            await http.close()
            await agent.close()
        }
    }

    private func upload(_ sent: Counter, failAfter: Int? = nil) -> OutboundBody {
        .stream(length: nil) { writer in
            for number in 0..<Self.parts {
                if number == failAfter { throw TransportError.closed }
                try await writer.write(Self.part)
                sent.add(1)
            }
        }
    }

    private final class Counter: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        func add(_ number: Int) { count.withLock { $0 += number } }
    }

    private func send(_ farm: TestFarm, _ order: ExportOrder, _ body: OutboundBody) -> Task<Int, any Error> {
        Task { try await farm.ask("POST", "/api/v1/agent/exports/\(order.id)", as: .agent, body: body).status }
    }

    @Test func `A slow reader holds the agent back, and gets every byte`() async throws {
        try await with { farm, _, order, client, _ in
            let sent = Counter()
            let agent = send(farm, order, upload(sent))
            let response = try await client.value
            #expect(response.status == 200)
            var iterator = response.body.makeAsyncIterator()
            var received = try await iterator.next()?.readableBytes ?? 0
            // The agent comes to a stop by itself, long before its end: wait until it makes no more way.
            var before = -1
            while sent.value != before {
                before = sent.value
                try await Task.sleep(for: .milliseconds(300))
            }
            #expect(sent.value < Self.parts)
            while let part = try await iterator.next() { received += part.readableBytes }
            #expect(received == Self.parts * Self.part.count)
            #expect(try await agent.value == 204)
        }
    }

    @Test func `An agent that breaks off resets the client's stream`() async throws {
        try await with { farm, _, order, client, _ in
            let agent = send(farm, order, upload(Counter(), failAfter: 40))
            let response = try await client.value
            #expect(response.status == 200)
            await #expect(throws: (any Error).self) { for try await _ in response.body {} }
            _ = await agent.result
        }
    }

    @Test func `A failure before the first byte is the answer`() async throws {
        try await with { farm, _, order, client, _ in
            let failure = bytes(try FarmJSON.encode(APIError(message: "no space left on agent-1")))
            #expect(try await farm.ask("POST", "/api/v1/agent/exports/\(order.id)/failure", as: .agent, body: failure).status == 204)
            let response = try await client.value
            #expect(response.status == 502)
            let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
            #expect(text.contains("no space left on agent-1"))
        }
    }

    @Test func `A client that goes away ends the upload`() async throws {
        try await with { farm, _, order, client, http in
            let sent = Counter()
            let agent = send(farm, order, upload(sent))
            _ = try await client.value
            await http.close()
            let result = await agent.result
            if case .success(let status) = result { #expect(status == 409) }
            #expect(sent.value < Self.parts)
            #expect(try await farm.ask("POST", "/api/v1/agent/exports/\(order.id)", as: .agent, body: bytes([1])).status == 404)
        }
    }
}
