import BlockingIO

/// Bytes in memory as a sink and, once written, as a source.
final class MemoryStream: ByteSource, ByteSink {
    var bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    func write(_ part: UnsafeRawBufferPointer) throws { bytes += part }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        // In odd portions, as a network gives them.
        let count = min(buffer.count, bytes.count - position, 10_007)
        buffer.copyBytes(from: bytes[position..<position + count])
        position += count
        return count
    }
}
