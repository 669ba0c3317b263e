import BlockingIO

/// Bytes in memory as a source and a sink.
final class Buffer: ByteSource, ByteSink {
    var bytes: [UInt8] = []
    private var position = 0
    /// The most that one read gives.
    var portion = Int.max

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    func write(_ bytes: UnsafeRawBufferPointer) throws { self.bytes.append(contentsOf: bytes) }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(buffer.count, bytes.count - position, portion)
        bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count])) }
        position += count
        return count
    }
}
