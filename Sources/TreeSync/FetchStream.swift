import BlockingIO

/// The tags of the fetch streams, see `docs/formats-volumes.md`.
enum FetchFormat {
    // Of the request.
    static let end: UInt8 = 0
    static let whole: UInt8 = 1
    static let signature: UInt8 = 2
    // Of the response.
    static let gone: UInt8 = 0
    static let content: UInt8 = 1
    static let delta: UInt8 = 2
    static let chunkSize = 64 << 10
}

/// Writes a run of bytes whose length is not known before: chunks with their lengths, a length of 0 at the end.
final class ChunkSink: ByteSink {
    private let sink: any ByteSink

    init(_ sink: any ByteSink) { self.sink = sink }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(FetchFormat.chunkSize))
            var head = ByteEncoder()
            head.number(part.count)
            try sink.write(head.bytes)
            try sink.write(part)
            rest = rest.dropFirst(part.count)
        }
    }

    func finish() throws { try sink.write([0]) }
}

/// Reads such a run.
final class ChunkSource: ByteSource {
    private let source: BlockSource
    private var left = 0
    private var ended = false

    init(_ source: BlockSource) { self.source = source }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if left == 0, !ended {
            left = Int(try source.number(upTo: UInt64(FetchFormat.chunkSize)))
            ended = left == 0
        }
        if ended { return 0 }
        let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(left)))
        guard count > 0 else { throw TreeSyncError.badStream("it ends early") }
        left -= count
        return count
    }

    /// Passes over what was not read, up to a limit.
    func drain(upTo limit: Int) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FetchFormat.chunkSize, alignment: 16)
        defer { buffer.deallocate() }
        var passed = 0
        while true {
            let count = try read(into: buffer)
            if count == 0 { return }
            passed += count
            guard passed <= limit else { throw TreeSyncError.badStream("a run of bytes that does not end") }
        }
    }
}

/// Reads exactly so many bytes of a stream.
final class CountedSource: ByteSource {
    private let source: BlockSource
    private var left: UInt64

    init(_ source: BlockSource, count: UInt64) {
        self.source = source
        left = count
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard left > 0 else { return 0 }
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(clamping: min(left, UInt64(buffer.count)))))
        let count = try source.read(into: part)
        guard count > 0 else { throw TreeSyncError.badStream("it ends early") }
        left -= UInt64(count)
        return count
    }
}
