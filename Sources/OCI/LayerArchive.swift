import BlockingIO
import BuildPlan
import Glibc

/// How a directory on disk stands for a layer.
public enum LayerForm: Sendable {
    /// As overlayfs leaves its upper directory: a deletion is a character device 0/0, an opaque directory has `trusted.overlay.opaque`.
    case overlayUpper
    /// As it is; nothing means a deletion.
    case plain
}

/// What an archive may have, so that a hostile one fills neither memory nor disk.
public struct LayerLimits: Sendable {
    /// Directories inside each other; each holds a file descriptor while it is read or written.
    public static let maximumDepth = 256
    /// As Linux has it (PATH_MAX without its NUL).
    public static let maximumPathLength = 4095
    /// As Linux has it (NAME_MAX); a whiteout's name in an archive is longer by its prefix.
    public static let maximumNameLength = 255
    /// Extended attributes of one entry.
    public static let maximumXattrs = 256

    /// Entries of the archive; large node_modules trees have some hundred thousand.
    public var entries: Int64 = 10_000_000
    /// Bytes of the uncompressed archive: larger than any layer that an agent could sensibly keep.
    public var bytes: Int64 = 1 << 40

    /// The default limits.
    public init() {}
}

/// Layers as tar archives: the canonical form, and safe extraction of any.
///
/// Two directories with the same content have the same archive, byte for byte, and `write(extract(write(x))) == write(x)`.
public enum LayerArchive {
    /// Of directories that an archive does not mention, and of a layer's root.
    public static let defaultDirectoryMode: UInt32 = 0o755

    /// Writes the canonical tar of a directory and returns its digest and size. Blocks.
    ///
    /// Kept are: types, modes, numeric owners, modification times with nanoseconds (before 1970: as 1970), hard links, devices,
    /// and extended attributes of files and directories but for `trusted.*` and the host's labels. Sockets are left out. The root
    /// itself is written only where it is not 0755 and root's. The directory must not change meanwhile.
    /// - Parameter sink: where the archive goes; nil for the digest alone.
    public static func write(directory: String, form: LayerForm, to sink: (any ByteSink)?) throws -> LayerDescriptor {
        let tar = TarWriter(to: sink, canonicalMark: true)
        var writer = LayerWriter(tar: tar, form: form)
        try writer.write(root: Descriptor.directory(directory))
        return try tar.finish()
    }

    /// Extracts a layer's tar, compressed or not, into a fresh directory, and returns the digest and size of the uncompressed bytes. Blocks.
    ///
    /// Nothing outside of the directory is touched, whatever the archive says; absolute paths, `..`, ways through links and hard links
    /// to what is not in the archive are refused. A later entry replaces an earlier one of the same name, but no directory. What was
    /// extracted before an error is left for the caller to delete. Needs root for ``LayerForm/overlayUpper``.
    /// - Parameters:
    ///   - directory: empty or not there yet; its parent is there.
    ///   - tee: gets the uncompressed bytes too.
    public static func extract(
        from source: any ByteSource, into directory: String, form: LayerForm, limits: LayerLimits = LayerLimits(),
        tee: (any ByteSink)? = nil
    ) throws -> LayerDescriptor {
        guard mkdir(directory, defaultDirectoryMode) == 0 || errno == EEXIST else {
            throw LayerError.call("create the directory", Array(directory.utf8))
        }
        let root = try Descriptor.directory(directory)
        let tar = try TarReader(Decompressor(source), limits: limits, tee: tee)
        var extractor = LayerExtractor(into: FreshDirectories(root: root), form: form, owner: .archive, devices: .create)
        extractor.defaultRoot()
        try extractor.extract(tar)
        return try tar.finish()
    }

    /// As many of an archive's first bytes as ``isCanonical(start:)`` looks at.
    public static let canonicalMarkLength = 2 * TarHeader.blockSize

    /// True if an uncompressed archive that begins so says of itself that ``write(directory:form:to:)`` makes the same bytes of what is
    /// extracted from it. It may lie: the digest shows it.
    public static func isCanonical(start: [UInt8]) -> Bool {
        guard start.count >= canonicalMarkLength else { return false }
        return start[TarHeader.typeOffset] == UInt8(ascii: "x") && start[TarHeader.blockSize...].starts(with: TarHeader.canonicalRecord)
    }
}
