import Logging
import Synchronization
import Testing

@testable import Volumes

struct RefusalLogTests {
    private struct Lines: LogHandler {
        final class Store: Sendable { let lines = Mutex<[String]>([]) }

        let store: Store
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { store.lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") } }
    }

    @Test func `each peer has a line of its own, and no more for asking in a loop`() {
        let store = Lines.Store()
        let log = RefusalLog(Logger(label: "test") { _ in Lines(store: store) }, pause: .seconds(3600))
        for _ in 0..<100 { for peer in ["one", "two"] { log.note(peer, "POST /x", reason: "the grant is another's") } }
        let lines = store.lines.withLock { $0 }
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.contains("POST /x") && $0.contains("another's") } && lines[1].contains("two"))
    }

    @Test func `a peer that asks again later has another line`() {
        let store = Lines.Store()
        let log = RefusalLog(Logger(label: "test") { _ in Lines(store: store) }, pause: .zero)
        for _ in 0..<3 { log.note("one", "POST /x", reason: String(repeating: "long", count: 1000)) }
        let lines = store.lines.withLock { $0 }
        #expect(lines.count == 3 && lines.allSatisfy { $0.utf8.count < 1000 })
    }
}
