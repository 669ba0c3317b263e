import CLinux
import Glibc

/// The entries of a directory as the kernel gives them: in no order, without `.` and `..`.
public enum DirectoryListing {
    // The kernel fills it with some thousand names a call.
    private static let bufferSize = 64 << 10
    // struct linux_dirent64: inode (8), offset (8), length of the record (2), type (1), name up to a NUL.
    private static let lengthOffset = 16
    private static let typeOffset = 18
    private static let nameOffset = 19

    /// Calls `body` with each name and its kind, which is nil where the file system does not say it.
    ///
    /// The directory's position moves to its end: a second call on the same descriptor sees nothing.
    public static func forEach(in directory: FileDescriptor, _ body: ([UInt8], FileStatus.Kind?) throws -> Void) throws {
        try withUnsafeTemporaryAllocation(byteCount: bufferSize, alignment: 8) { buffer in
            while true {
                let filled = clinux_getdents(directory.number, buffer.baseAddress, bufferSize)
                if filled == 0 { return }
                guard filled > 0 else {
                    if errno == EINTR { continue }
                    throw FileTreeError.last("list", directory.path)
                }
                var position = 0
                while position < filled {
                    let record = UnsafeRawBufferPointer(rebasing: buffer[position..<filled])
                    position += Int(record.loadUnaligned(fromByteOffset: lengthOffset, as: UInt16.self))
                    let name = record[nameOffset...].prefix { $0 != 0 }
                    if name.elementsEqual([UInt8(ascii: ".")]) || name.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")]) { continue }
                    try body([UInt8](name), kind(record[typeOffset]))
                }
            }
        }
    }

    /// All names, sorted by their bytes.
    public static func names(in directory: FileDescriptor) throws -> [[UInt8]] {
        var names: [[UInt8]] = []
        try forEach(in: directory) { name, _ in names.append(name) }
        names.sort(by: precedes)
        return names
    }

    private static func kind(_ type: UInt8) -> FileStatus.Kind? {
        switch Int(type) {
        case DT_REG: .file
        case DT_DIR: .directory
        case DT_LNK: .symlink
        case DT_FIFO: .fifo
        case DT_CHR: .characterDevice
        case DT_BLK: .blockDevice
        case DT_SOCK: .socket
        default: nil
        }
    }
}
