import BlockingIO
import NIOCore
import Synchronization
import Transport

/// Bytes that pass, counted.
final class CountingSource: ByteSource, Sendable {
    private let pipe: BytePipe
    private let counter = Atomic<Int64>(0)

    init(_ pipe: BytePipe) { self.pipe = pipe }

    /// Bytes so far.
    var count: Int64 { counter.load(ordering: .relaxed) }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try pipe.read(into: buffer)
        counter.add(Int64(count), ordering: .relaxed)
        return count
    }
}

/// Joins bodies of requests to blocking code.
enum BodyPipe {
    /// Runs blocking code that reads a body as it arrives. What it does not read is dropped. Gives its result and the bytes it read.
    static func read<T: Sendable>(
        _ body: InboundBody, _ work: @escaping @Sendable (CountingSource) throws -> T
    ) async throws -> (result: T, bytes: Int64) {
        let pipe = BytePipe()
        async let result = read(pipe, work)
        do {
            for try await part in body { try await pipe.send(Array(part.readableBytesView)) }
            pipe.finish()
        } catch {
            pipe.finish(throwing: error)
        }
        return try await result
    }

    /// Runs blocking code that reads a pipe that somebody else fills.
    static func read<T: Sendable>(
        _ pipe: BytePipe, _ work: @escaping @Sendable (CountingSource) throws -> T
    ) async throws -> (result: T, bytes: Int64) {
        let source = CountingSource(pipe)
        return try await withTaskCancellationHandler {
            let result = try await BlockingPool.shared.run {
                defer { pipe.abandon() }
                return try work(source)
            }
            return (result, source.count)
        } onCancel: {
            pipe.finish(throwing: CancellationError())
        }
    }

    /// A body that blocking code writes.
    static func write(_ work: @escaping @Sendable (BytePipe) throws -> Void) -> OutboundBody {
        .stream(length: nil) { writer in
            let pipe = BytePipe()
            async let work: Void = BlockingPool.shared.run {
                do {
                    try work(pipe)
                    pipe.finish()
                } catch {
                    pipe.finish(throwing: error)
                }
            }
            do {
                while let chunk = try await pipe.next() { try await writer.write(chunk) }
            } catch {
                pipe.abandon()
                try await work
                throw error
            }
            try await work
        }
    }
}
