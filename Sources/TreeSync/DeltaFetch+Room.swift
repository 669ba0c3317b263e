/// What a transfer takes on the disk, before it does: arithmetic of the plan.
extension DeltaFetch {
    /// Zeros of large sparse files together that one transfer may have: they take no room, but their digests take a minute or two.
    public static let sparseLimit: UInt64 = 16 << 40

    /// The most bytes that are copied here of what is here already; throws ``TreeSyncError/unsupported(path:what:)`` for more of sparse files
    /// than a transfer may have.
    public func copiedBytes() throws -> UInt64 {
        let copied = plan.locals.filter { !$0.isMove }.map(\.put) + plan.repeats.filter { !$0.isLink }.map(\.put)
        let sparse = Self.sum((copied + plan.wants.map(\.put)).lazy.filter { self.isLargeAndSparse($0) }.map { self.size($0) })
        guard sparse <= Self.sparseLimit else {
            throw TreeSyncError.unsupported(path: ".", what: "more than \(Self.sparseLimit >> 40) TiB in sparse files")
        }
        return Self.sum(copied.lazy.filter { !self.isLargeAndSparse($0) }.map { self.size($0) })
    }

    /// The most bytes that a round writes, and what is copied of it at the end. Of a large sparse file it isn't known before it arrives.
    public func writtenBytes(_ round: Round) -> UInt64 {
        let repeats = plan.repeats.lazy.filter { !$0.isLink && !self.isLargeAndSparse($0.put) }.map { self.size($0.put) }
        return Self.sum([Self.sum(round.wants.lazy.map { self.written($0) }), Self.sum(repeats)])
    }

    /// A round in which sparse files are asked for with their holes: those of which nobody knows what has changed, since to search their zeros
    /// takes longer than to send the rest, and those that would not fit, were they not sparse.
    func withHoles(_ round: Round, room: UInt64) -> Round {
        Round(
            wants: round.wants.map { want in
                isLargeAndSparse(want.put) && (want.runs == nil || size(want.put) > room) ? FetchPlan.Want(put: want.put) : want
            })
    }

    /// What answering a wish writes.
    func written(_ want: FetchPlan.Want) -> UInt64 {
        let size = size(want.put)
        if let runs = want.runs {
            // A spare becomes the new version; its bytes are there.
            if let old = want.old, let spares, spares.contains(old.digest) {
                return Self.sum(ContentRun.gaps(between: runs, size: size).lazy.map(\.length))
            }
            return size
        }
        return want.basis == nil && isLargeAndSparse(want.put) ? 0 : size
    }

    private func size(_ put: Int) -> UInt64 { delta.puts[put].file?.size ?? 0 }

    /// One whose zeros cost next to nothing.
    private func isLargeAndSparse(_ put: Int) -> Bool {
        guard let file = delta.puts[put].file else { return false }
        return file.isSparse && ContentDigest.isByBlocks(size: file.size)
    }

    private static func sum(_ sizes: some Sequence<UInt64>) -> UInt64 {
        sizes.reduce(0) { sum, size in
            let (next, overflow) = sum.addingReportingOverflow(size)
            return overflow ? .max : next
        }
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
