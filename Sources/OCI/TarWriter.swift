import BlockingIO
import BuildPlan
import Digests
import Glibc

/// Writes a tar in large portions, hashing and counting what it writes.
///
/// Not thread-safe; the buffer is allocated in `init` and freed in `deinit`.
final class TarWriter {
    /// Large enough that system calls and hash updates do not count, small enough for a CPU's cache.
    private static let bufferSize = 1 << 18

    private let sink: (any ByteSink)?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: TarWriter.bufferSize, alignment: 4096)
    private var filled = 0
    private var total: Int64 = 0
    private var hasher: SHA256Hasher?
    private var markPending: Bool

    /// - Parameters:
    ///   - sink: where the archive goes; nil for its digest alone.
    ///   - canonicalMark: say in the first header that the archive is canonical.
    ///   - hashing: false where nobody wants the digest.
    init(to sink: (any ByteSink)?, canonicalMark: Bool = false, hashing: Bool = true) {
        self.sink = sink
        markPending = canonicalMark
        hasher = hashing ? SHA256Hasher() : nil
    }

    deinit { buffer.deallocate() }

    /// Writes a member's header. A file's content and its padding must follow.
    func header(_ entry: TarEntry) throws {
        let blocks = try TarHeader.encode(entry, canonicalMark: markPending)
        markPending = false
        try append(blocks)
    }

    /// Appends bytes as they are.
    func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try append($0) } }

    /// Appends bytes as they are.
    func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            if filled == buffer.count { try flush() }
            let count = min(rest.count, buffer.count - filled)
            UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyMemory(from: .init(rebasing: rest.prefix(count)))
            filled += count
            rest = rest.dropFirst(count)
        }
    }

    /// Copies exactly `size` bytes from an open file, and pads them.
    func contents(of descriptor: Int32, size: Int64, path: [UInt8]) throws {
        var rest = size
        while rest > 0 {
            if filled == buffer.count { try flush() }
            let wanted = Int(min(rest, Int64(buffer.count - filled)))
            let count = read(descriptor, buffer.baseAddress?.advanced(by: filled), wanted)
            if count < 0 {
                if errno == EINTR { continue }
                throw LayerError.call("read", path)
            }
            guard count > 0 else { throw LayerError.refuse(path, "it became shorter while it was read") }
            filled += count
            rest -= Int64(count)
        }
        try pad(size)
    }

    /// Appends the zero bytes that follow a content of this size.
    func pad(_ size: Int64) throws { try zeros(TarHeader.padding(size)) }

    /// Ends the archive and returns its digest and size. The digest is that of nothing if hashing was off.
    func finish() throws -> LayerDescriptor {
        try zeros(2 * TarHeader.blockSize)
        try flush()
        let digest = hasher.take()?.finalize() ?? Digest.of("")
        return LayerDescriptor(diffID: digest, size: total)
    }

    private func zeros(_ count: Int) throws { if count > 0 { try append([UInt8](repeating: 0, count: count)) } }

    private func flush() throws {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<filled])
        hasher?.update(bytes)
        try sink?.write(bytes)
        total += Int64(filled)
        filled = 0
    }
}
