import BlockingIO
import CArchive

/// A libarchive reader over a ``ByteSource``; the only place where its handle lives.
///
/// Ownership: the handle and the buffer are made in `init` and freed in `deinit`, the handle first, since libarchive may read from the
/// buffer until it is closed. libarchive calls back only within calls made here, and gets this object unretained.
final class ArchiveHandle {
    /// What one read asks of the source.
    private static let bufferSize = 1 << 18

    let archive: OpaquePointer
    private let source: any ByteSource
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: ArchiveHandle.bufferSize, alignment: 4096)
    // What the source threw: libarchive's callbacks can only say that something did.
    private var failure: (any Error)?

    /// - Parameter configure: enables formats and filters. Only built-in ones: libarchive has some that start programs.
    init(_ source: any ByteSource, configure: (OpaquePointer) -> Void) throws {
        guard let archive = archive_read_new() else { throw LayerError.unreadable(reason: "out of memory") }
        self.archive = archive
        self.source = source
        configure(archive)
        let status = archive_read_open(
            archive, Unmanaged.passUnretained(self).toOpaque(), nil,
            { _, context, block in
                guard let context, let block else { return -1 }
                return Unmanaged<ArchiveHandle>.fromOpaque(context).takeUnretainedValue().fill(block)
            }, nil)
        try check(status)
    }

    deinit {
        archive_read_free(archive)
        buffer.deallocate()
    }

    /// Throws for everything worse than a warning. Warnings are about names in other character sets, whose bytes we take as they are.
    func check(_ status: Int32) throws {
        guard status != ARCHIVE_OK, status != ARCHIVE_EOF, status != ARCHIVE_WARN else { return }
        if let failure { throw failure }
        throw LayerError.unreadable(reason: archive_error_string(archive).map { String(cString: $0) } ?? "unknown error")
    }

    private func fill(_ block: UnsafeMutablePointer<UnsafeRawPointer?>) -> Int {
        do {
            block.pointee = UnsafeRawPointer(buffer.baseAddress)
            return try source.read(into: buffer)
        } catch {
            failure = error
            return -1
        }
    }
}
