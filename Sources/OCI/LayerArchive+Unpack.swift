import BlockingIO
import CLinux
import Glibc

extension LayerArchive {
    /// Unpacks a tar (plain or compressed with gzip, bzip2, xz or zstd) into a directory that is there. Blocks.
    ///
    /// Links that are already there lead where they would if the directory were `/`; nothing outside of it is touched. What the archive
    /// has replaces what is there, but a directory is never replaced by something else.
    /// - Parameter root: an open directory; stays the caller's.
    @discardableResult
    public static func unpack(
        from source: any ByteSource, intoRoot root: Int32, owner: ExtractedOwner, devices: ExtractedDevices,
        limits: LayerLimits = LayerLimits()
    ) throws -> ExtractionResult {
        let tar = try TarReader(Decompressor(source), limits: limits)
        var extractor = LayerExtractor(into: RootedDirectories(root: root), form: .plain, owner: owner, devices: devices)
        try extractor.extract(tar)
        _ = try tar.finish()
        return extractor.result
    }

    /// True if a file's content is a tar, plain or compressed: what `ADD` unpacks. The descriptor's position is moved to the start.
    public static func isArchive(_ descriptor: Int32) throws -> Bool {
        defer { lseek(descriptor, 0, SEEK_SET) }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { return false }
        do {
            let reader = try TarReader(Decompressor(FileSource(descriptor)), limits: LayerLimits(), acceptEmpty: false)
            return try reader.next() != nil
        } catch LayerError.unreadable {
            return false
        } catch LayerError.refused {
            return true
        }
    }
}
