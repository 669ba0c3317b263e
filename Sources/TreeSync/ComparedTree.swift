import Digests

/// A generation as it is compared: what is in it, with the digests of its directories.
public struct ComparedTree: Sendable, Equatable {
    public let manifest: VolumeManifest
    public let digests: DirectoryDigests

    public init(manifest: VolumeManifest, digests: DirectoryDigests) {
        self.manifest = manifest
        self.digests = digests
    }

    /// Computes the digests; linear in the manifest.
    public init(_ manifest: VolumeManifest) { self.init(manifest: manifest, digests: DirectoryDigests(of: manifest)) }

    /// The generation after this one. Linear in both, without decoding or hashing what the delta does not name.
    public func applying(_ delta: DeltaManifest) throws -> ComparedTree {
        let next = manifest.applying(delta)
        return ComparedTree(manifest: next, digests: try digests.applying(delta, giving: next))
    }

    /// Names the generation by all that is in it.
    public var digest: Digest { digests.treeDigest(of: manifest) }
}

/// The bytes of a comparison, see `docs/formats-volumes.md`.
enum ComparisonFormat {
    // Of the request.
    static let end: UInt8 = 0
    static let round: UInt8 = 1
    static let compare: UInt8 = 1
    static let everything: UInt8 = 2
    // Of the response.
    static let same: UInt8 = 0
    static let differs: UInt8 = 1

    /// A round is closed when it has this many fingerprints (512 KiB): little enough to wait whole in the pipes between the two sides, so
    /// that neither waits for the other to read while it writes.
    static let roundSize = 64 << 10
    /// And this many directories, for the same reason: the answers are read when the round has been written.
    static let roundDirectories = 4096
    /// Names in one directory at the most: as many as a manifest has room for, twice a million with short names.
    static let childLimit = 4 << 20
    /// Entries of one comparison at the most: a peer could name one large directory of ours again and again.
    static let entryLimit = 4 << 20
}
