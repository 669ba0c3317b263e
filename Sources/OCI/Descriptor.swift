import Glibc

/// An open file descriptor that is closed when its owner is gone.
final class Descriptor {
    /// For system calls. The object must outlive them: see ``use(_:)``.
    let number: Int32

    /// Takes over an open descriptor.
    init(owning number: Int32) { self.number = number }

    deinit { close(number) }

    /// Calls a body with the number; the descriptor is open until it returns, even if this was the last use of the object.
    func use<R>(_ body: (Int32) throws -> R) rethrows -> R { try withExtendedLifetime(self) { try body(number) } }

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
