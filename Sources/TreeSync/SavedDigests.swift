import Digests

/// The digests of a generation's directories as they are kept on disk.
public struct SavedDigests: Sendable, Equatable {
    public let generation: Int
    public let digests: DirectoryDigests

    private static let magic = Array("FVG1".utf8)
    /// A path of no bytes, and a digest.
    private static let minimum = 2 + Digest.byteCount

    public init(generation: Int, digests: DirectoryDigests) {
        self.generation = generation
        self.digests = digests
    }

    /// The binary form, its own digest at the end.
    public func encoded() -> [UInt8] {
        let all = digests.all.sorted { TreePaths.precedes($0.key, $1.key) }
        var encoder = ByteEncoder(reserving: all.count * 64)
        encoder.raw(Self.magic)
        encoder.number(generation)
        encoder.number(all.count)
        var previous: TreePath = []
        for (path, digest) in all {
            encoder.path(path, after: previous)
            digest.withUnsafeBytes { encoder.raw($0) }
            previous = path
        }
        return encoder.sealed()
    }

    /// Reads the binary form; throws ``TreeSyncError/badManifest(_:)`` where it is damaged.
    public init(decoding bytes: [UInt8]) throws {
        (generation, digests) = try bytes.withUnsafeBytes { bytes in
            var decoder = try ByteDecoder(sealed: bytes, magic: Self.magic)
            let generation = try decoder.number(Int.self, upTo: .max)
            let count = try decoder.count(of: Self.minimum)
            var digests: [TreePath: Digest] = [:]
            digests.reserveCapacity(count)
            var previous: TreePath = []
            for _ in 0..<count {
                let path = try decoder.path(after: previous)
                guard let digest = Digest(bytes: try decoder.raw(Digest.byteCount)) else { throw TreeSyncError.badManifest("no digest") }
                digests[path] = digest
                previous = path
            }
            try decoder.end()
            return (generation, DirectoryDigests(unchecked: digests))
        }
    }
}
