import BlockingIO
import BuildPlan
import CArchive
import Digests
import Glibc

/// Reads a tar by libarchive, entry by entry, hashing every byte of it.
///
/// Names are bytes: libarchive takes them as they are where the process has the C locale, which Farm's programs never leave.
final class TarReader {
    private let counted: CountedSource
    private let handle: ArchiveHandle
    private let limits: LayerLimits
    private var entries: Int64 = 0

    /// - Parameters:
    ///   - source: an uncompressed tar.
    ///   - tee: gets every byte that is read.
    ///   - acceptEmpty: take no bytes at all as an archive without entries.
    init(_ source: any ByteSource, limits: LayerLimits, tee: (any ByteSink)? = nil, acceptEmpty: Bool = true) throws {
        counted = CountedSource(source, limit: limits.bytes, tee: tee)
        self.limits = limits
        handle = try ArchiveHandle(counted) { archive in
            archive_read_support_format_tar(archive)
            if acceptEmpty { archive_read_support_format_empty(archive) }
        }
    }

    /// The next entry with a normalized path; nil at the end of the archive.
    func next() throws -> TarEntry? {
        var pointer: OpaquePointer?
        let status = archive_read_next_header(handle.archive, &pointer)
        try handle.check(status)
        guard status != ARCHIVE_EOF, let pointer else { return nil }
        entries += 1
        guard entries <= limits.entries else { throw LayerError.tooLarge(what: "entries", limit: limits.entries) }
        let name = archive_entry_pathname(pointer).map(Self.bytes) ?? []
        var entry = TarEntry(path: try Self.normalized(name), kind: .directory)
        entry.kind = try kind(of: pointer, name)
        entry.mode = archive_entry_perm(pointer) & 0o7777
        entry.uid = try Self.owner(archive_entry_uid(pointer), name)
        entry.gid = try Self.owner(archive_entry_gid(pointer), name)
        entry.seconds = Int64(archive_entry_mtime(pointer))
        // libarchive takes a fraction as it stands, also where it makes no time.
        let fraction = Int64(archive_entry_mtime_nsec(pointer))
        entry.nanoseconds = (0..<1_000_000_000).contains(fraction) ? fraction : 0
        entry.xattrs = try Self.xattrs(of: pointer, name)
        return entry
    }

    /// Gives the current entry's content in portions with their offsets, rising; what lies between them is zero.
    func contents(_ body: (UnsafeRawBufferPointer, Int64) throws -> Void) throws {
        var block: UnsafeRawPointer?
        var count = 0
        var offset: Int64 = 0
        while true {
            let status = archive_read_data_block(handle.archive, &block, &count, &offset)
            try handle.check(status)
            if status == ARCHIVE_EOF { return }
            if count > 0 { try body(UnsafeRawBufferPointer(start: block, count: count), offset) }
        }
    }

    /// Reads what follows the archive's end and returns the digest and size of everything.
    func finish() throws -> LayerDescriptor { try counted.finish() }

    // MARK: Inside

    private func kind(of entry: OpaquePointer, _ name: [UInt8]) throws -> TarEntry.Kind {
        if let target = archive_entry_hardlink(entry) { return .hardLink(target: try Self.normalized(Self.bytes(target))) }
        switch archive_entry_filetype(entry) {
        case S_IFREG: return .file(size: archive_entry_size(entry))
        case S_IFDIR: return .directory
        case S_IFLNK: return .symbolicLink(target: archive_entry_symlink(entry).map(Self.bytes) ?? [])
        case S_IFIFO: return .fifo
        case S_IFCHR:
            return .characterDevice(major: Self.device(archive_entry_rdevmajor(entry)), minor: Self.device(archive_entry_rdevminor(entry)))
        case S_IFBLK:
            return .blockDevice(major: Self.device(archive_entry_rdevmajor(entry)), minor: Self.device(archive_entry_rdevminor(entry)))
        default: throw LayerError.refuse(name, "its type is none that a file system has")
        }
    }

    /// The path without `.`, empty components and slashes at its end. An empty result is the root.
    static func normalized(_ name: [UInt8]) throws -> [UInt8] {
        guard name.count <= LayerLimits.maximumPathLength else {
            throw LayerError.refuse(name.prefix(100), "its path is longer than \(LayerLimits.maximumPathLength) bytes")
        }
        guard name.first != UInt8(ascii: "/") else { throw LayerError.refuse(name, "it has an absolute path") }
        guard !name.isEmpty else { throw LayerError.refused(path: "", reason: "an entry has no path") }
        var path: [UInt8] = []
        path.reserveCapacity(name.count)
        var depth = 0
        for component in name.split(separator: UInt8(ascii: "/")) where !component.elementsEqual([UInt8(ascii: ".")]) {
            guard !component.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")]) else {
                throw LayerError.refuse(name, "'..' may not be part of a path")
            }
            guard component.count <= LayerLimits.maximumNameLength + Whiteout.prefix.count else {
                throw LayerError.refuse(name, "a name in it is longer than \(LayerLimits.maximumNameLength) bytes")
            }
            depth += 1
            guard depth <= LayerLimits.maximumDepth else {
                throw LayerError.refuse(name.prefix(100), "it is deeper than \(LayerLimits.maximumDepth) directories")
            }
            if !path.isEmpty { path.append(UInt8(ascii: "/")) }
            path.append(contentsOf: component)
        }
        return path
    }

    private static func xattrs(of entry: OpaquePointer, _ path: [UInt8]) throws -> [ExtendedAttribute] {
        let count = Int(archive_entry_xattr_reset(entry))
        if count == 0 { return [] }
        guard count <= LayerLimits.maximumXattrs else {
            throw LayerError.refuse(path, "it has more than \(LayerLimits.maximumXattrs) extended attributes")
        }
        var found: [ExtendedAttribute] = []
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var length = 0
        while archive_entry_xattr_next(entry, &name, &value, &length) == ARCHIVE_OK, let key = name {
            guard length <= LayerXattrs.maximumLength else {
                throw LayerError.refuse(path, "an extended attribute is longer than \(LayerXattrs.maximumLength) bytes")
            }
            let attribute = ExtendedAttribute(name: bytes(key), value: Array(UnsafeRawBufferPointer(start: value, count: length)))
            if LayerXattrs.belongsToLayer(attribute.name) { found.append(attribute) }
        }
        return found
    }

    private static func owner(_ number: Int64, _ path: [UInt8]) throws -> UInt32 {
        // The largest number means "unchanged" to chown.
        guard let owner = UInt32(exactly: number), owner < UInt32.max else {
            throw LayerError.refuse(path, "its owner \(number) is no user or group")
        }
        return owner
    }

    private static func device(_ number: dev_t) -> UInt32 { UInt32(truncatingIfNeeded: number) }

    private static func bytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }
}
