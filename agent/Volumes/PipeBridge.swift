import BlockingIO
import NIOCore
import Transport

/// Joins bodies of HTTP messages to blocking code.
enum PipeBridge {
    /// Threads of their own for what peers ask of this agent: they must not wait behind what this agent asks of its peers.
    static let servingPool = BlockingPool(limit: 32)

    /// Moves a body into a pipe until one of them ends.
    static func pump(_ body: InboundBody, into pipe: BytePipe) async {
        do {
            for try await part in body { try await pipe.send(Array(part.readableBytesView)) }
            pipe.finish()
        } catch {
            pipe.finish(throwing: error)
        }
    }

    /// Moves a pipe into a body until one of them ends.
    static func pump(_ pipe: BytePipe, into writer: BodyWriter) async throws {
        do {
            while let part = try await pipe.next() { try await writer.write(part) }
        } catch {
            pipe.abandon()
            throw error
        }
    }

    /// Runs blocking code that makes a body, and sends what it makes.
    static func stream(
        on pool: BlockingPool, to writer: BodyWriter, _ body: @escaping @Sendable (BytePipe) throws -> Void
    ) async throws {
        let pipe = BytePipe()
        async let made: Void = pool.run {
            do {
                try body(pipe)
                pipe.finish()
            } catch {
                pipe.finish(throwing: error)
                throw error
            }
        }
        do {
            try await pump(pipe, into: writer)
        } catch {
            pipe.abandon()
            _ = try? await made
            throw error
        }
        try await made
    }
}
