import BlockingIO
import Digests
import FileTree

/// Where the contents of a context's files come from. Blocks; one thread at a time.
public protocol ContentProvider {
    /// The absolute path of a file on this disk that has the content, such as in an earlier layer; nil where none is known.
    ///
    /// It is linked or copied, never changed. Where it is gone meanwhile the content is fetched.
    func localFile(_ digest: Digest) -> [UInt8]?

    /// A ``ContentPack`` with exactly these contents, in any order. Called once for a COPY; for an ADD, once for each file that may be an archive too.
    func fetch(_ digests: Set<Digest>) throws -> any ByteSource
}
