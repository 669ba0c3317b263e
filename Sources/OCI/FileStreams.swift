import BlockingIO
import Glibc

/// Reads an open file from its position on.
public struct FileSource: ByteSource {
    private let descriptor: Int32

    /// - Parameter descriptor: stays the caller's, and open meanwhile.
    public init(_ descriptor: Int32) { self.descriptor = descriptor }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            guard errno == EINTR else { throw LayerError.call("read", "the file".utf8) }
        }
    }
}

/// Writes to an open file at its position.
public struct FileSink: ByteSink {
    private let descriptor: Int32

    /// - Parameter descriptor: stays the caller's, and open meanwhile.
    public init(_ descriptor: Int32) { self.descriptor = descriptor }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LayerError.call("write", "the file".utf8) }
            done += count
        }
    }
}
