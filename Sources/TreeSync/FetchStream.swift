import BlockingIO

/// The tags of the fetch streams, see `docs/formats-volumes.md`.
enum FetchFormat {
    // Of the request.
    static let end: UInt8 = 0
    static let whole: UInt8 = 1
    static let signature: UInt8 = 2
    static let ranges: UInt8 = 3
    // Of the response.
    static let gone: UInt8 = 0
    static let content: UInt8 = 1
    static let delta: UInt8 = 2
    static let pieces: UInt8 = 3
    static let sparse: UInt8 = 4
    static let chunkSize = 64 << 10
}

extension FetchFormat {
    /// The wish for parts of a file.
    static func wish(for gaps: [ContentRun.Range], of entry: TreeEntry) -> [UInt8] {
        var encoder = ByteEncoder(reserving: entry.path.count + 16 + gaps.count * 5)
        encoder.byte(ranges)
        encoder.string(entry.path)
        encoder.number(entry.file?.size ?? 0)
        encoder.number(gaps.count)
        var end: UInt64 = 0
        for gap in gaps {
            encoder.number(gap.position - end)
            encoder.number(gap.length)
            end = gap.end
        }
        return encoder.bytes
    }

    /// Reads the ranges of such a wish; they are in order, not empty, and inside of the file.
    static func gaps(from source: BlockSource, size: UInt64) throws -> [ContentRun.Range] {
        let count = Int(try source.number(upTo: UInt64(GenerationChange.runLimit + 1)))
        var gaps: [ContentRun.Range] = []
        var end: UInt64 = 0
        for _ in 0..<count {
            let position = end + (try source.number(upTo: size - end))
            let length = try source.number(upTo: size - position)
            guard length > 0 else { throw TreeSyncError.badStream("a wish for nothing") }
            gaps.append(ContentRun.Range(position: position, length: length))
            end = position + length
        }
        return gaps
    }
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

    /// Reads so many bytes; throws where there are fewer.
    func readFully(into buffer: UnsafeMutableRawBufferPointer) throws {
        var filled = 0
        while filled < buffer.count {
            let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            guard count > 0 else { throw TreeSyncError.badStream("it ends early") }
            filled += count
        }
    }

    /// Passes over what was not read.
    func drain() throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FetchFormat.chunkSize, alignment: 16)
        defer { buffer.deallocate() }
        while try read(into: buffer) > 0 {}
    }
}
