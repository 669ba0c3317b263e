/// Where blocking code reads bytes from, once, in order.
public protocol ByteSource {
    /// Reads at least one byte into the buffer, which is not empty, and returns how many; 0 at the end. Blocks.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// Where blocking code writes bytes to, in order.
public protocol ByteSink {
    /// Takes all the bytes, blocking until there is room. The buffer is the caller's again on return.
    func write(_ bytes: UnsafeRawBufferPointer) throws
}

extension ByteSource {
    /// Fills the buffer as far as the source goes; less than its count only at the end.
    public func readFully(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    /// Reads exactly `count` bytes; nil if the source ends before.
    public func readExactly(_ count: Int) throws -> [UInt8]? {
        var filled = 0
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            if count > 0 { filled = try readFully(into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)) }
            initialized = filled
        }
        return filled == count ? bytes : nil
    }
}

extension ByteSink {
    /// Writes an array of bytes.
    public func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }
}
