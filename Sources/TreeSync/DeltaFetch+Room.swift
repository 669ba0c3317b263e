/// What a transfer takes on the disk, before it does: arithmetic of the plan.
extension DeltaFetch {
    /// Zeros of large sparse files together that one transfer may have: they take no room, but their digests take a minute or two.
    public static let sparseLimit: UInt64 = 16 << 40

    /// The most bytes that are copied here of what is here already; throws ``TreeSyncError/unsupported(path:what:)`` for more of sparse files
    /// than a transfer may have.
    public func copiedBytes() throws -> UInt64 {
        guard plan.sparseBytes <= Self.sparseLimit else {
            throw TreeSyncError.unsupported(path: ".", what: "more than \(Self.sparseLimit >> 40) TiB in sparse files")
        }
        return plan.copiedBytes
    }

    /// The most bytes that a round writes, and what is copied of it at the end. Of a large sparse file it isn't known before it arrives.
    public func writtenBytes(_ round: Round) -> UInt64 {
        var bytes = plan.repeatedBytes
        bytes.add(round.writtenBytes)
        return bytes
    }

    /// The wish for a file, with its holes where it is a sparse one of which nobody knows what has changed, since to search its zeros takes
    /// longer than to send the rest, or that would not fit, were it not sparse.
    func withHoles(_ want: FetchPlan.Want, _ entry: TreeEntry, room: UInt64) -> FetchPlan.Want {
        guard let file = entry.file, file.isLargeAndSparse, want.known?.runs == nil || file.size > room else { return want }
        return FetchPlan.Want(put: want.put)
    }

    /// What answering a wish writes.
    func written(_ want: FetchPlan.Want, _ entry: TreeEntry) -> UInt64 {
        guard let file = entry.file else { return 0 }
        if let runs = want.known?.runs {
            // A spare becomes the new version; its bytes are there.
            guard let old = want.known?.old, let spares, spares.contains(old.digest) else { return file.size }
            return ContentRun.gaps(between: runs, size: file.size).reduce(into: 0) { $0.add($1.length) }
        }
        return want.known?.basis == nil && file.isLargeAndSparse ? 0 : file.size
    }
}

/// How many bytes may still arrive: what there is room for, whatever was announced.
final class Allowance {
    private var left: UInt64

    init(_ bytes: UInt64) { left = bytes }

    func take(_ bytes: UInt64, for path: TreePath) throws {
        guard bytes <= left else { throw TreeSyncError.noRoom(path: TreePaths.text(path)) }
        left -= bytes
    }
}
