import BlockingIO
import CLinux
import Glibc

/// An open file, closed with its last reference.
public final class Descriptor: Sendable {
    let number: Int32

    /// Takes over an open descriptor.
    init(owning number: Int32) { self.number = number }

    deinit { close(number) }

    /// Opens a path of this machine, not of a volume.
    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0) throws -> Descriptor {
        let number = Glibc.open(path, flags | O_CLOEXEC, mode)
        guard number >= 0 else { throw TreeSyncError.last("opening", path) }
        return Descriptor(owning: number)
    }

    /// Opens a directory of this machine.
    static func directory(_ path: String) throws -> Descriptor { try open(path, O_RDONLY | O_DIRECTORY) }

    /// PATH_MAX counts the NUL.
    private static let longestCall = 4095

    /// Opens a path below this directory: no link is followed, at no place, and nothing outside is reached.
    func openBelow(_ path: TreePath, _ flags: Int32, mode: mode_t = 0) throws -> Descriptor {
        if path.count > Self.longestCall, let slash = path[..<Self.longestCall].lastIndex(of: TreePaths.slash) {
            let upper = try openBelow(Array(path[..<slash]), CLINUX_O_PATH | O_DIRECTORY)
            return try upper.openBelow(Array(path[(slash + 1)...]), flags, mode: mode)
        }
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_NO_SYMLINKS | CLINUX_RESOLVE_NO_MAGICLINKS)
        let number = path.withCPath { clinux_openat2(self.number, $0, UInt64(flags | O_CLOEXEC | O_NOFOLLOW), UInt64(mode), resolve) }
        guard number >= 0 else { throw TreeSyncError.last("opening", path) }
        return Descriptor(owning: number)
    }

    /// The status of what is open.
    func status(_ path: TreePath) throws -> stat {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw TreeSyncError.last("reading the status of", path) }
        return status
    }
}

extension Descriptor: Equatable {
    /// The same open file.
    public static func == (a: Descriptor, b: Descriptor) -> Bool { a === b }
}

extension TreePath {
    /// Lends the path as C has it; the empty one as `.`.
    func withCPath<R>(_ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
        try (isEmpty ? [UInt8(ascii: "."), 0] : self + [0]).withUnsafeBytes { bytes in
            guard let base = bytes.assumingMemoryBound(to: CChar.self).baseAddress else { return try "".withCString(body) }
            return try body(base)
        }
    }
}

extension ArraySlice<UInt8> {
    func withCPath<R>(_ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R { try Array(self).withCPath(body) }
}

/// Reads a file from its beginning.
struct FileSource: ByteSource {
    let file: Descriptor
    let path: TreePath

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let count = Glibc.read(file.number, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            if errno != EINTR { throw TreeSyncError.last("reading", path) }
        }
    }
}

/// Gives no more than `limit` bytes of another source; more is an error.
final class LimitedSource: ByteSource {
    private let source: any ByteSource
    private var left: Int

    init(_ source: any ByteSource, limit: Int) {
        self.source = source
        left = limit
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try source.read(into: buffer)
        guard count <= left else { throw TreeSyncError.badStream("a signature that is too long") }
        left -= count
        return count
    }
}
