import BlockingIO

/// A source whose first bytes have been looked at.
public final class PeekedSource: ByteSource {
    /// The first bytes: as many as were asked for, or all that there are.
    public let start: [UInt8]
    private var given = 0
    private let rest: any ByteSource

    /// Reads up to `count` bytes ahead.
    public init(_ source: any ByteSource, count: Int) throws {
        rest = source
        start = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = try source.readFully(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard given < start.count else { return try rest.read(into: buffer) }
        let count = min(buffer.count, start.count - given)
        buffer.copyBytes(from: start[given..<given + count])
        given += count
        return count
    }
}
