/// Contents that are on this machine besides the generation that a transfer stands upon, found by their digests.
///
/// A transfer asks here before it asks the holder. Used by one thread at a time. Subclassed in this module only.
public class LocalContents {
    /// Files that were made of something here, and their bytes.
    public internal(set) var taken: (files: Int, bytes: UInt64) = (0, 0)

    init() {}

    /// Makes the file of something that is here, verified. False where there is nothing, or something else than it should be.
    func make(_ entry: TreeEntry, with writer: TreeWriter) throws -> Bool { false }

    /// The beginning of a large file, not verified, and how much of it there is; nil for none.
    func beginning(of entry: TreeEntry) -> (file: Descriptor, length: UInt64)? { nil }
}
