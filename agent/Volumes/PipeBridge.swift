import BlockingIO
import NIOCore
import Transport

/// Joins bodies of HTTP messages to blocking code.
enum PipeBridge {
    /// Moves a body into a pipe until one of them ends, or the peer has been too slow.
    static func pump(_ body: InboundBody, into pipe: BytePipe, patience: PeerPatience) async {
        let watch = PeerWatch(patience)
        let pace = Pace.current
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                if await watch.hasEnded() { pipe.finish(throwing: VolumeError.peerTooSlow(patience.window)) }
            }
            group.addTask {
                do {
                    watch.waits()
                    for try await part in body {
                        watch.came(part.readableBytes)
                        try await pipe.send(Array(part.readableBytesView))
                        // Our own slowness, not the peer's.
                        try await pace?.pass(part.readableBytes)
                        watch.waits()
                    }
                    pipe.finish()
                } catch {
                    pipe.finish(throwing: error)
                }
            }
            // Whichever ends takes the other with it; a body that is no longer read resets its stream.
            await group.next()
            group.cancelAll()
        }
    }

    /// Moves a pipe into a body until one of them ends, or the peer has taken it too slowly.
    static func pump(_ pipe: BytePipe, into writer: BodyWriter, patience: PeerPatience) async throws {
        let watch = PeerWatch(patience)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    if await watch.hasEnded() { throw VolumeError.peerTooSlow(patience.window) }
                }
                group.addTask {
                    while let part = try await pipe.next() {
                        watch.waits()
                        try await writer.write(part)
                        watch.came(part.count)
                    }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch {
            pipe.abandon()
            throw error
        }
    }

    /// Runs blocking code that makes a body, and sends what it makes.
    static func stream(
        on pool: BlockingPool, to writer: BodyWriter, patience: PeerPatience, _ body: @escaping @Sendable (BytePipe) throws -> Void
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
            try await pump(pipe, into: writer, patience: patience)
        } catch {
            pipe.abandon()
            _ = try? await made
            throw error
        }
        try await made
    }
}
