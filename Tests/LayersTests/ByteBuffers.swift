import BlockingIO

/// Collects what is written.
final class ByteCollector: ByteSink {
    private(set) var bytes: [UInt8] = []
    func write(_ bytes: UnsafeRawBufferPointer) throws { self.bytes += bytes }
}

/// Gives bytes in portions of a chosen size.
final class ByteGiver: ByteSource {
    private let bytes: [UInt8]
    private var position = 0
    private let portion: Int

    init(_ bytes: [UInt8], portion: Int = .max) {
        self.bytes = bytes
        self.portion = portion
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(buffer.count, portion, bytes.count - position)
        buffer.copyBytes(from: bytes[position..<position + count])
        position += count
        return count
    }
}
