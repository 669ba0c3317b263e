import BlockingIO
import CArchive

/// The uncompressed bytes of a source: of gzip, bzip2, xz or zstd, found out by content, or the bytes themselves.
public final class Decompressor: ByteSource {
    private let plain: PeekedSource
    private let handle: ArchiveHandle?

    /// Looks at the first bytes of the source.
    public init(_ source: any ByteSource) throws {
        plain = try PeekedSource(source, count: Compression.magicLength)
        guard let compression = Compression.detect(plain.start) else {
            handle = nil
            return
        }
        let handle = try ArchiveHandle(plain) { archive in
            switch compression {
            case .gzip: archive_read_support_filter_gzip(archive)
            case .bzip2: archive_read_support_filter_bzip2(archive)
            case .xz: archive_read_support_filter_xz(archive)
            case .zstd: archive_read_support_filter_zstd(archive)
            }
            archive_read_support_format_raw(archive)
            archive_read_support_format_empty(archive)
        }
        self.handle = handle
        var entry: OpaquePointer?
        try handle.check(archive_read_next_header(handle.archive, &entry))
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let handle else { return try plain.read(into: buffer) }
        let count = archive_read_data(handle.archive, buffer.baseAddress, buffer.count)
        if count < 0 {
            try handle.check(Int32(truncatingIfNeeded: count))
            throw LayerError.unreadable(reason: "the compressed data is damaged")
        }
        return count
    }
}
