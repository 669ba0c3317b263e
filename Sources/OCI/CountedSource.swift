import BlockingIO
import BuildPlan
import Digests

/// Counts and hashes what is read through it, up to a limit.
final class CountedSource: ByteSource {
    private static let portion = 1 << 18

    private let source: any ByteSource
    private let limit: Int64
    private let tee: (any ByteSink)?
    private var hasher: SHA256Hasher? = SHA256Hasher()
    private var total: Int64 = 0

    init(_ source: any ByteSource, limit: Int64, tee: (any ByteSink)? = nil) {
        self.source = source
        self.limit = limit
        self.tee = tee
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try source.read(into: buffer)
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        hasher?.update(bytes)
        total += Int64(count)
        guard total <= limit else { throw LayerError.tooLarge(what: "bytes", limit: limit) }
        if count > 0 { try tee?.write(bytes) }
        return count
    }

    /// Reads the rest and returns the digest and size of everything.
    func finish() throws -> LayerDescriptor {
        try withUnsafeTemporaryAllocation(byteCount: Self.portion, alignment: 16) { buffer in
            while try read(into: buffer) > 0 {}
        }
        return LayerDescriptor(diffID: hasher.take()?.finalize() ?? Digest.of(""), size: total)
    }
}
