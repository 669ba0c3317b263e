import Digests

/// Where the directories of a Merkle tree come from: memory, a store, a connection. Blocks.
public protocol TreeReader {
    /// The directory of a digest. Throws ``FileTreeError/missingObject(_:)`` where it is not known.
    func object(_ digest: Digest) throws -> TreeObject
}
