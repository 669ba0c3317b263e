import BlockingIO
import Digests

/// The binary forms of a generation, written from its layers' tables: no name is decoded, and memory is a buffer.
public enum ManifestStream {
    /// Bytes that are collected before they are written.
    private static let portion = 64 << 10

    /// Writes what ``VolumeManifest/encoded()`` would give.
    ///
    /// - Parameter tables: of the layers, the lowest first. Several are gone through twice: the count comes first.
    public static func write(manifestOf tables: [ManifestTable], to sink: any ByteSink) throws {
        let sealing = SealingSink(sink)
        try sealing.write(ManifestFormat.wholeMagic)
        if tables.count == 1 {
            try copyPuts(of: tables[0], to: sealing)
        } else {
            var count = 0
            let cursor = try GenerationCursor(tables)
            while try cursor.advance() { count += 1 }
            try write(tables, count: count, to: sealing)
        }
        try sealing.finish()
    }

    /// Writes what ``DeltaManifest/encoded()`` would give of the whole as a change of nothing.
    ///
    /// - Parameter count: of the generation's names.
    public static func write(deltaOf tables: [ManifestTable], count: Int, to sink: any ByteSink) throws {
        let sealing = SealingSink(sink)
        try sealing.write(ManifestFormat.deltaMagic)
        try write(tables, count: count, to: sealing)
        // No deletions.
        try sealing.write([0])
        try sealing.finish()
    }

    private static func copyPuts(of table: ManifestTable, to sink: SealingSink) throws {
        try table.eachPortionOfPuts { try sink.write($0) }
    }

    private static func write(_ tables: [ManifestTable], count: Int, to sink: SealingSink) throws {
        var encoder = ByteEncoder()
        encoder.number(count)
        var written = 0
        var previous: TreePath = []
        let cursor = try GenerationCursor(tables)
        while try cursor.advance() {
            let path = cursor.path
            encoder.path(path, after: previous)
            previous = path
            try cursor.withBody { encoder.raw($0) }
            written += 1
            if encoder.bytes.count >= portion {
                try sink.write(encoder.bytes)
                encoder = ByteEncoder(reserving: portion * 2)
            }
        }
        guard written == count else { throw TreeSyncError.badManifest("\(written) names instead of \(count)") }
        try sink.write(encoder.bytes)
    }
}

/// Passes bytes on, and at the end their digest.
private final class SealingSink: ByteSink {
    private let sink: any ByteSink
    // Nil once the digest was taken.
    private var hasher: SHA256Hasher? = SHA256Hasher()

    init(_ sink: any ByteSink) { self.sink = sink }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        hasher?.update(bytes)
        try sink.write(bytes)
    }

    func finish() throws {
        if let digest = hasher.take()?.finalize() { try sink.write(digest.bytes) }
    }
}
