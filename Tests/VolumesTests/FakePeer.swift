import BlockingIO
import FarmAPI
import NIOCore
import Synchronization
import Transport

@testable import TreeSync
@testable import Volumes

/// An agent with a good certificate that answers what a test wants: over real TLS, to the real client.
final class FakePeer: Sendable {
    /// What is sent for a request's path; the path of a fetch or of a question for changes.
    struct Script: Sendable {
        var changes: [UInt8]
        var fetch: [UInt8] = []
        /// Sends on for ever what `changes` or `fetch` has, instead of ending.
        var repeats = false
        /// Between two bytes.
        var pause: Duration?
        /// Sends everything and does not end.
        var hangs = false
    }

    let server: HTTPServer
    private let script: Box

    /// What the server's handler needs, which is made before the peer.
    fileprivate final class Box: Sendable {
        let script: Mutex<Script>
        let asked = Mutex<[String]>([])
        init(_ script: Script) { self.script = Mutex(script) }
    }

    init(farm: TestFarm, script: Script) throws {
        let box = Box(script)
        self.script = box
        server = HTTPServer(
            configuration: ServerConfiguration(
                host: "127.0.0.1", port: 0, identity: try farm.identity("evil"), requiresCertificate: true)
        ) { request in box.answer(request) }
    }

    /// The paths that were asked for.
    var requests: [String] { script.asked.withLock { $0 } }

    func set(_ new: Script) { script.script.withLock { $0 = new } }
}

extension FakePeer.Box {
    func answer(_ request: ServerRequest) -> ServerResponse {
        asked.withLock { $0.append(request.path) }
        let script = script.withLock { $0 }
        let bytes = request.path == PeerRoutes.changes ? script.changes : script.fetch
        let isLast = request.path == PeerRoutes.changes ? script.fetch.isEmpty : true
        return ServerResponse(
            status: 200,
            body: .stream(length: nil) { writer in
                if let pause = script.pause, isLast {
                    for byte in bytes {
                        try await writer.write([byte])
                        try await Task.sleep(for: pause)
                    }
                } else {
                    repeat { if !bytes.isEmpty { try await writer.write(bytes) } } while script.repeats && isLast
                }
                // Longer than any test; ends with the connection.
                if script.hangs, isLast { try await Task.sleep(for: .seconds(600)) }
            })
    }
}

/// Bytes as the block stream has them.
func blocks(_ body: (BlockSink) throws -> Void) throws -> [UInt8] {
    let wire = Collected()
    let sink = BlockSink(wire)
    try body(sink)
    try sink.finish()
    return wire.bytes
}

final class Collected: ByteSink {
    private(set) var bytes: [UInt8] = []
    func write(_ part: UnsafeRawBufferPointer) throws { bytes += part }
}
