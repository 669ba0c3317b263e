import BlockingIO

/// The holder's side of a fetch: answers a stream of wanted files, in their order, as it arrives.
public enum ContentSender {
    /// Serves one request. Blocks; memory is a few buffers and one signature.
    ///
    /// - Parameters:
    ///   - request: of a peer; a malformed one throws ``TreeSyncError/badStream(_:)``.
    ///   - files: the generation that the peer named.
    ///   - tables: of its layers, which spare looking for each file in all of them.
    ///   - holes: whether the peer knows holes in a content.
    public static func serve(
        request: any ByteSource, files: GenerationFiles, tables: [ManifestTable] = [], holes: Bool = false, response: any ByteSink
    ) throws {
        let files = GenerationReader(files, tables)
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
                try send(path, size: size, signature: signature, holes, files, answer)
            default: throw TreeSyncError.badStream("a wish of the unknown kind \(tag)")
            }
        }
    }

    private static func send(
        _ path: TreePath, size: UInt64, ranges: [ContentRun.Range], _ files: GenerationReader, _ answer: BlockSink
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
        _ path: TreePath, size: UInt64, signature: ChunkSource?, _ holes: Bool, _ files: GenerationReader, _ answer: BlockSink
    ) throws {
        guard let (file, status) = try files.open(path), UInt64(status.st_size) == size else {
            try signature?.drain(upTo: Rsync.signatureLimit)
            try answer.write([FetchFormat.gone])
            return
        }
        if let signature {
            try answer.write([FetchFormat.delta])
            let chunks = ChunkSink(answer)
            try Rsync.writeDelta(signature: signature, new: FileSource(file: file, path: path), to: chunks)
            try chunks.finish()
            return
        }
        if holes, try hasHoles(file, size: size, path) { return try sendSparse(file, size: size, path, answer) }
        var head = ByteEncoder()
        head.byte(FetchFormat.content)
        head.number(size)
        try answer.write(head.bytes)
        try file.eachPortion(of: FileExtent(position: 0, length: size, isHole: false), path) { try answer.write($0) }
    }

    private static func hasHoles(_ file: Descriptor, size: UInt64, _ path: TreePath) throws -> Bool {
        struct Found: Error {}
        do {
            try file.eachExtent(size: size, path) { if $0.isHole { throw Found() } }
            return false
        } catch is Found { return true }
    }

    /// Pairs of a hole and the data behind it, until all is told.
    private static func sendSparse(_ file: Descriptor, size: UInt64, _ path: TreePath, _ answer: BlockSink) throws {
        var head = ByteEncoder()
        head.byte(FetchFormat.sparse)
        head.number(size)
        var hole: UInt64 = 0
        func write(data length: UInt64) throws {
            head.number(hole)
            head.number(length)
            try answer.write(head.bytes)
            head = ByteEncoder()
            hole = 0
        }
        try file.eachExtent(size: size, path) { extent in
            if extent.isHole {
                hole += extent.length
            } else {
                try write(data: extent.length)
                try file.eachPortion(of: extent, path) { try answer.write($0) }
            }
        }
        if hole > 0 { try write(data: 0) }
    }
}
