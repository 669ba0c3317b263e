import NIOCore
import Synchronization
import Testing
import Transport

@testable import FarmCoordinator

@Suite("An export goes from an agent to a client")
struct ExportBridgeTests {
    /// A body of numbered parts that counts how many were read.
    private final class Parts: Sendable {
        private let state = Mutex(0)
        let count: Int
        let failure: TransportError?

        init(_ count: Int, failure: TransportError? = nil) {
            self.count = count
            self.failure = failure
        }

        var read: Int { state.withLock { $0 } }

        var body: InboundBody {
            InboundBody { [self] in
                let number = state.withLock { number -> Int? in
                    guard number < count else { return nil }
                    number += 1
                    return number
                }
                guard let number else {
                    if let failure { throw failure }
                    return nil
                }
                return ByteBuffer(string: "part \(number) ")
            }
        }
    }

    @Test func `Every part arrives once and in order, and the agent hears the end`() async throws {
        let bridge = ExportBridge()
        let export = await bridge.open("x")
        let parts = Parts(3)
        let agent = Task { try await bridge.deliver("x", body: parts.body) }
        let (first, rest) = try await export.firstPart(timeout: .seconds(10))
        var text = String(buffer: first)
        for try await part in rest { text += String(buffer: part) }
        export.succeed()
        await bridge.close("x")
        try await agent.value
        #expect(text == "part 1 part 2 part 3 ")
    }

    @Test func `Nothing is read ahead of the client`() async throws {
        let bridge = ExportBridge()
        let export = await bridge.open("x")
        let parts = Parts(100)
        let agent = Task { try await bridge.deliver("x", body: parts.body) }
        let (_, rest) = try await export.firstPart(timeout: .seconds(10))
        #expect(parts.read == 1)
        var iterator = rest.makeAsyncIterator()
        _ = try await iterator.next()
        #expect(parts.read == 2)
        await bridge.close("x")
        await #expect(throws: RouteError.self) { try await agent.value }
    }

    @Test func `A client that goes away ends the agent's upload`() async throws {
        let bridge = ExportBridge()
        _ = await bridge.open("x")
        let agent = Task { try await bridge.deliver("x", body: Parts(3).body) }
        await bridge.close("x")
        await #expect(throws: RouteError.self) { try await agent.value }
    }

    @Test func `A failure of the agent before the first byte is told to the client`() async throws {
        let bridge = ExportBridge()
        let export = await bridge.open("x")
        try await bridge.fail("x", message: "no space left")
        await #expect(throws: RouteError.badGateway("no space left")) { try await export.firstPart(timeout: .seconds(10)) }
        let broken = await bridge.open("y")
        let agent = Task { try await bridge.deliver("y", body: Parts(0, failure: .connectionLost).body) }
        await #expect(throws: RouteError.self) { try await broken.firstPart(timeout: .seconds(10)) }
        await bridge.close("y")
        _ = await agent.result
    }

    @Test func `An agent that never comes is not waited for forever`() async {
        let export = await ExportBridge().open("x")
        await #expect(throws: RouteError.self) { try await export.firstPart(timeout: .milliseconds(10)) }
    }

    @Test func `Nobody can deliver what nobody waits for, or twice`() async throws {
        let bridge = ExportBridge()
        await #expect(throws: RouteError.self) { try await bridge.deliver("x", body: Parts(1).body) }
        await #expect(throws: RouteError.self) { try await bridge.fail("x", message: "") }
        let export = await bridge.open("x")
        let agent = Task { try await bridge.deliver("x", body: Parts(1).body) }
        _ = try await export.firstPart(timeout: .seconds(10))
        await #expect(throws: RouteError.self) { try await bridge.deliver("x", body: Parts(1).body) }
        export.succeed()
        try await agent.value
    }
}
