import BlockingIO
import Digests
import FarmAPI
import FileSteps
import FileTree
import Layers
import NIOCore
import Synchronization
import Volumes

/// Contents of a context's files: from earlier layers, else from the coordinator.
struct ContextContents: ContentProvider {
    let api: APIClient
    let layers: LayerStore
    /// Ends what is fetched, and with it the wait for it.
    let interruption: Interruption

    private let meter: TransferMeter
    private let counter = ByteCounter()

    init(services: StageServices, interruption: Interruption) {
        api = services.api
        layers = services.layers
        meter = services.fetcher.meter
        self.interruption = interruption
    }

    /// Bytes that came from the coordinator so far.
    var fetchedBytes: Int64 { counter.value.load(ordering: .relaxed) }

    func localFile(_ digest: Digest) -> [UInt8]? { layers.findContent(digest) }

    func fetch(_ digests: Set<Digest>) throws -> any ByteSource {
        var body: [UInt8] = []
        body.reserveCapacity(digests.count * Digest.byteCount)
        for digest in digests { digest.withUnsafeBytes { body.append(contentsOf: $0) } }
        let pipe = BytePipe()
        let request = body
        // Ends with the pipe: its reader abandons it, has it all, or is interrupted.
        let task = Task { [api, counter, meter] in
            var bytes: Int64 = 0
            meter.begin(from: nil)
            defer { meter.end(from: nil, bytes: bytes) }
            do {
                let response = try await api.send("POST", "/api/v1/agent/contents", body: .bytes(ByteBuffer(bytes: request)))
                for try await part in response.body {
                    counter.value.add(Int64(part.readableBytes), ordering: .relaxed)
                    bytes += Int64(part.readableBytes)
                    try await pipe.send(Array(part.readableBytesView))
                }
                pipe.finish()
            } catch {
                pipe.finish(throwing: error)
            }
        }
        interruption.whenInterrupted {
            task.cancel()
            pipe.finish(throwing: CancellationError())
        }
        return AbandoningSource(pipe)
    }
}

private final class ByteCounter: Sendable {
    let value = Atomic<Int64>(0)
}

/// Lets go of a pipe when nobody reads it any more.
private final class AbandoningSource: ByteSource {
    private let pipe: BytePipe
    init(_ pipe: BytePipe) { self.pipe = pipe }
    deinit { pipe.abandon() }
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try pipe.read(into: buffer) }
}
