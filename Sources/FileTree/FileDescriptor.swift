import BlockingIO
import CLinux
import Glibc

/// An open file, closed when the last reference goes. Reads and writes at its position, blocking.
public final class FileDescriptor: ByteSource, ByteSink, Sendable {
    /// The number that system calls take. It is closed with this object: keep the object as long as the number is used.
    public let number: Int32
    /// For messages.
    public let path: [UInt8]

    /// Takes over a descriptor that is open.
    public init(owning number: Int32, path: [UInt8]) {
        self.number = number
        self.path = path
    }

    /// Opens a path relative to a directory (the working directory by default); always with O_CLOEXEC.
    public init(_ path: [UInt8], in directory: Int32 = AT_FDCWD, flags: Int32 = O_RDONLY, mode: mode_t = 0o600) throws {
        number = withPath(path.isEmpty ? [UInt8(ascii: ".")] : path) { openat(directory, $0, flags | O_CLOEXEC, mode) }
        self.path = path
        if number < 0 { throw FileTreeError.last("open", path) }
    }

    /// Opens a path so that the kernel does not leave `root`: absolute links and `..` are taken from it (openat2 with RESOLVE_IN_ROOT).
    /// - Parameter resolve: more of CLINUX_RESOLVE_*.
    public init(_ path: [UInt8], inRoot root: Int32, flags: Int32 = O_RDONLY, mode: mode_t = 0, resolve: Int32 = 0) throws {
        let resolve = UInt64(CLINUX_RESOLVE_IN_ROOT | CLINUX_RESOLVE_NO_MAGICLINKS | resolve)
        number = withPath(path.isEmpty ? [UInt8(ascii: ".")] : path) {
            clinux_openat2(root, $0, UInt64(flags | O_CLOEXEC), UInt64(mode), resolve)
        }
        self.path = path
        if number < 0 { throw FileTreeError.last("open", path) }
    }

    deinit { close(number) }

    /// What fstat says.
    public func status() throws -> FileStatus {
        var values = stat()
        guard fstat(number, &values) == 0 else { throw FileTreeError.last("stat", path) }
        return FileStatus(values)
    }

    /// Reads up to the buffer's size at the position; 0 at the end.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let count = Glibc.read(number, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            if errno != EINTR { throw FileTreeError.last("read", path) }
        }
    }

    /// Reads up to the buffer's size at an offset, without moving the position; less only at the end.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = pread(number, buffer.baseAddress?.advanced(by: filled), buffer.count - filled, off_t(offset) + off_t(filled))
            if count == 0 { break }
            if count > 0 {
                filled += count
            } else if errno != EINTR {
                throw FileTreeError.last("read", path)
            }
        }
        return filled
    }

    /// Writes all bytes at the position.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(number, bytes.baseAddress?.advanced(by: written), bytes.count - written)
            if count >= 0 {
                written += count
            } else if errno != EINTR {
                throw FileTreeError.last("write", path)
            }
        }
    }

    /// Returns when the content is on the disk.
    public func synchronize() throws {
        guard fsync(number) == 0 else { throw FileTreeError.last("synchronize", path) }
    }

    /// The whole content of a file that must not be larger than `limit`.
    public func readAll(limit: Int) throws -> [UInt8] {
        let size = try status().size
        guard size <= limit else { throw FileTreeError.tooLarge(what: "'\(FileTreeError.text(path))'", limit: limit) }
        var content = [UInt8]()
        var buffer = [UInt8](repeating: 0, count: max(4096, min(Int(size) + 1, 1 << 20)))
        while true {
            let count = try buffer.withUnsafeMutableBytes { try read(into: $0) }
            if count == 0 { return content }
            content.append(contentsOf: buffer[..<count])
            // A file of /proc or one that grows has no honest size.
            guard content.count <= limit else { throw FileTreeError.tooLarge(what: "'\(FileTreeError.text(path))'", limit: limit) }
        }
    }
}
