import BlockingIO
import BuildPlan
import Digests
import FileTree
import Glibc
import OCI

extension LayerStore {
    /// Takes a layer's archive from another agent or the coordinator: extracts it aside, and gives it its name if digest and size are right.
    ///
    /// An archive that Farm did not write itself (an imported image's) can't be made again from its directory: it is kept beside it,
    /// compressed.
    public func receive(_ expected: LayerDescriptor, from source: any ByteSource) throws {
        let staging = try newUpper()
        do {
            let source = try PeekedSource(source, count: LayerArchive.canonicalMarkLength)
            let keeper = LayerArchive.isCanonical(start: source.start) ? nil : try ArchiveKeeper(path: staging.path + "/archive")
            let found = try LayerArchive.extract(from: source, into: staging.upper, form: .overlayUpper, tee: keeper)
            guard found == expected else { throw LayerStoreError.mismatch(expected: expected.diffID, found: found.diffID) }
            let archive = try keeper.map { (path: staging.path + "/archive", bytes: try $0.finish()) }
            try publish(staging, expected, archive: archive)
        } catch {
            try? discard(staging)
            throw error
        }
    }

    /// Writes the layer's uncompressed archive: exactly the bytes of its digest.
    ///
    /// The digest is checked while it is written, so that damage is told at the end; a receiver must check it as well.
    public func write(diffID: Digest, to sink: any ByteSink) throws {
        let name = try pin([diffID])[0]
        defer { unpin([diffID]) }
        let keepsArchive = state.withLock { $0.layers[diffID]?.record.keepsArchive ?? false }
        guard keepsArchive else {
            let found = try LayerArchive.write(directory: directory + "/" + name, form: .overlayUpper, to: sink)
            guard found.diffID == diffID else { throw LayerStoreError.mismatch(expected: diffID, found: found.diffID) }
            return
        }
        let archive = try Decompressor(FileDescriptor(Array(archivePath(name).utf8)))
        var hasher = SHA256Hasher()
        try withUnsafeTemporaryAllocation(byteCount: Self.copySize, alignment: 16) { buffer in
            while true {
                let count = try archive.read(into: buffer)
                if count == 0 { return }
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                hasher.update(bytes)
                try sink.write(bytes)
            }
        }
        let found = hasher.finalize()
        guard found == diffID else { throw LayerStoreError.mismatch(expected: diffID, found: found) }
    }

    // On the stack: well below the smallest stack of a thread.
    private static let copySize = 128 << 10
}

/// Keeps an archive compressed in a file.
private final class ArchiveKeeper: ByteSink {
    private let file: FileDescriptor
    private let compressor: ZstdSink

    init(path: String) throws {
        file = try FileDescriptor(Array(path.utf8), flags: O_WRONLY | O_CREAT | O_EXCL)
        compressor = try ZstdSink(to: file)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws { try compressor.write(bytes) }

    /// Ends the file and returns its size.
    func finish() throws -> Int64 {
        try compressor.finish()
        return try file.status().size
    }
}
