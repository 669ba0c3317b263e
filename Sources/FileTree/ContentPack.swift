import BlockingIO
import Digests

// docs/formats.md, "Content pack": "FCP1", then a frame for each content (1, digest, length, bytes), then 0.
enum ContentPackFormat {
    static let magic: [UInt8] = Array("FCP1".utf8)
    static let end: UInt8 = 0
    static let content: UInt8 = 1
    /// Marker, digest and length: where the bytes begin in a frame.
    static let frameHeader = 1 + Digest.byteCount + 8
    static let bufferSize = 256 << 10
}

/// Writes contents of files one after another, each under its digest. One thread at a time.
public final class ContentPackWriter<Sink: ByteSink> {
    // Small contents leave in one piece with their headers: a write to a socket or a pipe for each would cost more than the bytes.
    private var waiting: [UInt8] = []
    private let sink: Sink

    /// Begins a pack.
    public init(_ sink: Sink) throws {
        self.sink = sink
        waiting.reserveCapacity(2 * ContentPackFormat.bufferSize)
        waiting.append(contentsOf: ContentPackFormat.magic)
    }

    /// Appends exactly `size` bytes of the source, of which it does not check the digest: the reader does.
    public func append(_ digest: Digest, size: UInt64, from source: some ByteSource) throws {
        header(digest, size)
        var left = size
        while left > 0 {
            let wanted = Int(min(left, UInt64(ContentPackFormat.bufferSize)))
            let start = waiting.count
            waiting.append(contentsOf: repeatElement(0, count: wanted))
            let count = try waiting.withUnsafeMutableBytes { try source.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
            guard count > 0 else { throw FileTreeError.malformed(what: "content \(digest)", reason: "it ends \(left) bytes too early") }
            waiting.removeLast(wanted - count)
            left -= UInt64(count)
            try flush(whenAbove: ContentPackFormat.bufferSize)
        }
    }

    /// Appends a content that is in memory.
    public func append(_ digest: Digest, _ content: UnsafeRawBufferPointer) throws {
        header(digest, UInt64(content.count))
        if content.count >= ContentPackFormat.bufferSize {
            try flush(whenAbove: 0)
            try sink.write(content)
        } else {
            waiting.append(contentsOf: content)
            try flush(whenAbove: ContentPackFormat.bufferSize)
        }
    }

    /// Ends the pack. Without this its reader takes it for broken off.
    public func finish() throws {
        waiting.append(ContentPackFormat.end)
        try flush(whenAbove: 0)
    }

    private func header(_ digest: Digest, _ size: UInt64) {
        waiting.append(ContentPackFormat.content)
        waiting.append(digest)
        waiting.append(size)
    }

    private func flush(whenAbove limit: Int) throws {
        guard waiting.count > limit else { return }
        try waiting.withUnsafeBytes { try sink.write($0) }
        waiting.removeAll(keepingCapacity: true)
    }
}

/// Reads a pack, from whoever it comes: every content is checked against its digest. One thread at a time, memory constant.
public final class ContentPackReader<Source: ByteSource> {
    /// A content that comes next.
    public struct Header: Sendable, Hashable {
        public var digest: Digest
        /// Bytes.
        public var size: UInt64
    }

    private enum State {
        case start
        case betweenContents
        case inContent
        case ended
    }

    private let source: Source
    private let sizeLimit: UInt64
    private var state = State.start
    private var buffer = [UInt8](repeating: 0, count: ContentPackFormat.bufferSize)
    private var filled = 0
    private var position = 0
    private var header: Header?

    /// - Parameter sizeLimit: bytes of the largest content that is accepted.
    public init(_ source: Source, sizeLimit: UInt64 = UInt64(Int64.max)) {
        self.source = source
        self.sizeLimit = sizeLimit
    }

    /// The next content, or nil at the end of the pack; ``content(_:)`` or ``skip()`` must be called in between.
    public func next() throws -> Header? {
        if case .inContent = state { try skip() }
        if case .ended = state { return nil }
        if case .start = state {
            guard try take(ContentPackFormat.magic.count) == ContentPackFormat.magic else { throw error("it does not begin with FCP1") }
            state = .betweenContents
        }
        switch try take(1)[0] {
        case ContentPackFormat.end:
            state = .ended
            return nil
        case ContentPackFormat.content: break
        case let other: throw error("\(other) is no kind of frame")
        }
        var fields = ByteReader(try take(ContentPackFormat.frameHeader - 1), what: "content pack")
        let header = Header(digest: try fields.digest(), size: try fields.integer(UInt64.self))
        guard header.size <= sizeLimit else {
            throw FileTreeError.tooLarge(what: "content \(header.digest)", limit: Int(clamping: sizeLimit))
        }
        self.header = header
        state = .inContent
        return header
    }

    /// Gives the content's bytes to `body` in pieces; throws ``FileTreeError/digestMismatch(expected:actual:)`` after the last if they
    /// are not what they should be, so that what `body` made of them must be thrown away.
    public func content(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard let header, case .inContent = state else { throw error("no content is to be read") }
        var hasher = SHA256Hasher()
        var left = header.size
        while left > 0 {
            if position == filled { try fill() }
            let count = Int(min(UInt64(filled - position), left))
            try buffer.withUnsafeBytes { bytes in
                let piece = UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
                hasher.update(piece)
                try body(piece)
            }
            position += count
            left -= UInt64(count)
        }
        state = .betweenContents
        let actual = hasher.finalize()
        guard actual == header.digest else { throw FileTreeError.digestMismatch(expected: header.digest, actual: actual) }
    }

    /// Passes over the content; it is checked all the same.
    public func skip() throws { try content { _ in } }

    private func fill() throws {
        position = 0
        filled = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
        guard filled > 0 else { throw error("it was broken off") }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(count)
        while bytes.count < count {
            if position == filled { try fill() }
            let part = min(filled - position, count - bytes.count)
            bytes.append(contentsOf: buffer[position..<position + part])
            position += part
        }
        return bytes
    }

    private func error(_ reason: String) -> FileTreeError { .malformed(what: "content pack", reason: reason) }
}
