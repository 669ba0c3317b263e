import BlockingIO

/// The holder's side of a fetch: answers a stream of wanted files, in their order, as it arrives.
public enum ContentSender {
    /// Serves one request. Blocks; memory is a few buffers and one signature.
    ///
    /// - Parameters:
    ///   - request: of a peer; a malformed one throws ``TreeSyncError/badStream(_:)``.
    ///   - files: the generation that the peer named.
    public static func serve(request: any ByteSource, files: GenerationFiles, response: any ByteSink) throws {
        let wanted = BlockSource(request)
        let answer = BlockSink(response)
        while true {
            let tag = try wanted.byte()
            switch tag {
            case FetchFormat.end:
                _ = try wanted.rest(upTo: 0)
                try answer.finish()
                return
            case FetchFormat.whole, FetchFormat.signature, FetchFormat.ranges:
                let path = try wanted.string(upTo: TreePaths.lengthLimit)
                let size = try wanted.number(upTo: UInt64(Int64.max))
                if let fault = TreePaths.fault(in: path) { throw TreeSyncError.badStream(fault) }
                if tag == FetchFormat.ranges {
                    try send(path, size: size, ranges: try FetchFormat.gaps(from: wanted, size: size), files, answer)
                    continue
                }
                let signature = tag == FetchFormat.signature ? ChunkSource(wanted) : nil
                try send(path, size: size, signature: signature, files, answer)
            default: throw TreeSyncError.badStream("a wish of the unknown kind \(tag)")
            }
        }
    }

    private static func send(
        _ path: TreePath, size: UInt64, ranges: [ContentRun.Range], _ files: GenerationFiles, _ answer: BlockSink
    ) throws {
        guard let (file, status) = try files.open(path), UInt64(status.st_size) == size else {
            try answer.write([FetchFormat.gone])
            return
        }
        try answer.write([FetchFormat.pieces])
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Rsync.bufferSize, alignment: 16)
        defer { buffer.deallocate() }
        for range in ranges {
            var position = range.position
            while position < range.end {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(min(UInt64(buffer.count), range.end - position))))
                guard try file.readFully(at: position, into: part) else {
                    throw TreeSyncError.contentGone(path: TreePaths.text(path))
                }
                try answer.write(UnsafeRawBufferPointer(part))
                position += UInt64(part.count)
            }
        }
    }

    private static func send(
        _ path: TreePath, size: UInt64, signature: ChunkSource?, _ files: GenerationFiles, _ answer: BlockSink
    ) throws {
        guard let (file, status) = try files.open(path), UInt64(status.st_size) == size else {
            try signature?.drain(upTo: Rsync.signatureLimit)
            try answer.write([FetchFormat.gone])
            return
        }
        let source = FileSource(file: file, path: path)
        if let signature {
            try answer.write([FetchFormat.delta])
            let chunks = ChunkSink(answer)
            try Rsync.writeDelta(signature: signature, new: source, to: chunks)
            try chunks.finish()
            return
        }
        var head = ByteEncoder()
        head.byte(FetchFormat.content)
        head.number(size)
        try answer.write(head.bytes)
        let counter = CountingSink(answer, limit: size)
        try source.copy(to: counter)
        guard counter.left == 0 else { throw TreeSyncError.contentGone(path: TreePaths.text(path)) }
    }
}

/// Lets no more than the announced number of bytes through.
private final class CountingSink: ByteSink {
    private let sink: any ByteSink
    private(set) var left: UInt64

    init(_ sink: any ByteSink, limit: UInt64) {
        self.sink = sink
        left = limit
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard UInt64(bytes.count) <= left else { throw TreeSyncError.badStream("a file that grows while it is sent") }
        left -= UInt64(bytes.count)
        try sink.write(bytes)
    }
}
