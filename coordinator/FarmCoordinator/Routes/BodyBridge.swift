import BlockingIO
import NIOCore
import Transport

/// Joins streamed bodies to blocking code, with back-pressure in both directions.
enum BodyBridge {
    /// Bodies hold a thread as long as their peer takes; they have a pool of their own, so that slow peers keep none of the short calls
    /// waiting. More bodies at once than this wait for each other.
    static let pool = BlockingPool(limit: 256)

    /// Runs blocking code that reads a request's body; more than `limit` bytes throw ``RouteError/tooLarge(limit:)`` there.
    ///
    /// The code need not read to the end: what is left is dropped. When the peer goes away its read throws.
    static func read<T: Sendable>(
        _ body: InboundBody, limit: Int64, _ consume: @escaping @Sendable (any ByteSource) throws -> T
    ) async throws -> T {
        let pipe = BytePipe()
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask {
                do {
                    var total: Int64 = 0
                    for try await part in body {
                        total += Int64(part.readableBytes)
                        guard total <= limit else { throw RouteError.tooLarge(limit: limit) }
                        try await pipe.send(Array(part.readableBytesView))
                    }
                    pipe.finish()
                } catch PipeError.abandoned {
                    // The reader had enough, or failed and says so itself.
                } catch {
                    pipe.finish(throwing: error)
                }
                return nil
            }
            group.addTask {
                try await pool.run {
                    defer { pipe.abandon() }
                    return try consume(pipe)
                }
            }
            var result: T?
            do {
                while let next = try await group.next() { if let next { result = next } }
            } catch {
                pipe.finish(throwing: error)
                throw error
            }
            guard let result else { throw CancellationError() }
            return result
        }
    }

    /// A body that blocking code writes. When the peer goes away its write throws.
    static func write(length: Int? = nil, _ produce: @escaping @Sendable (any ByteSink) throws -> Void) -> OutboundBody {
        .stream(length: length) { writer in
            let pipe = BytePipe()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await pool.run {
                        do {
                            try produce(pipe)
                            pipe.finish()
                        } catch {
                            pipe.finish(throwing: error)
                        }
                    }
                }
                defer { pipe.abandon() }
                while let chunk = try await pipe.next() { try await writer.write(chunk) }
            }
        }
    }
}
