import Glibc

/// An open file descriptor that is closed when its owner is gone.
final class Descriptor {
    let number: Int32

    /// Takes over an open descriptor.
    init(owning number: Int32) { self.number = number }

    deinit { close(number) }

    /// Opens a directory by path.
    static func directory(_ path: String) throws -> Descriptor {
        let number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { throw LayerError.call("open the directory", Array(path.utf8)) }
        return Descriptor(owning: number)
    }
}

/// Calls a body with a C string of raw bytes.
func withCString<R>(_ bytes: some Collection<UInt8>, _ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
    try withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { buffer in
        var index = 0
        for byte in bytes {
            buffer[index] = CChar(bitPattern: byte)
            index += 1
        }
        buffer[index] = 0
        guard let base = buffer.baseAddress else { preconditionFailure("an allocation of at least one byte has an address") }
        return try body(UnsafePointer(base))
    }
}
