import Digests

/// Where the content of each file of a delta comes from: pure arithmetic of manifests.
public struct FetchPlan: Sendable {
    /// A file whose content has to come from the holder.
    struct Want: Sendable {
        /// Index into the delta's puts.
        var put: Int
        /// Nil for most: the whole content is asked for.
        var known: Known?
    }

    /// What is here of a wanted content.
    final class Known: Sendable {
        /// An older version, and where: its signature goes to the holder, which answers with an rsync delta.
        let basis: TreePath?
        /// What the new version has of that one, where it is known: then only the rest is asked for.
        let runs: [ContentRun]?
        /// The beginning of it that came with an earlier transfer; stands for the older version.
        let arrived: Descriptor?
        /// What is in the old version of a large file.
        let old: FileContent?

        init(basis: TreePath? = nil, runs: [ContentRun]? = nil, arrived: Descriptor? = nil, old: FileContent? = nil) {
            self.basis = basis
            self.runs = runs
            self.arrived = arrived
            self.old = old
        }
    }

    /// A file whose content is here, in the generation that the delta stands upon.
    struct Local: Sendable, Equatable {
        var put: Int
        var source: TreePath
        /// The old name goes away and the inode stands for the new one.
        var isMove: Bool
    }

    /// A file that has the content of another one of the same delta.
    struct Repeat: Sendable, Equatable {
        var put: Int
        var first: Int
        var isLink: Bool
    }

    private(set) var wants: [Want] = []
    private(set) var locals: [Local] = []
    private(set) var repeats: [Repeat] = []
    /// Files without content.
    private(set) var empty: [Int] = []
    /// What is no file.
    private(set) var others: [Int] = []
    /// What is copied here of what is here already: the most bytes, without those of large sparse files.
    private(set) var copiedBytes: UInt64 = 0
    /// Of these, what is copied when all has arrived.
    private(set) var repeatedBytes: UInt64 = 0
    /// Of large sparse files, wanted or copied.
    private(set) var sparseBytes: UInt64 = 0

    /// Below this size a signature and a delta save less than they cost.
    static let deltaThreshold: UInt64 = 16 << 10

    /// By generation: the holder says what each file was made of, so that nothing is searched here.
    ///
    /// - Parameter local: the generation that is here, and that the change stands upon.
    public init(_ change: GenerationChange, local: any GenerationLookup) throws {
        let bases = Dictionary(uniqueKeysWithValues: change.bases.map { ($0.put, $0) })
        var deleted: Set<TreePath>?
        try eachFirst(of: .list(change.delta.puts)) { plan, index, entry, file in
            guard let basis = bases[index] else { return plan.want(index, file) }
            switch basis.relation {
            case .same:
                // What the holder says is compared with what is known here.
                guard let source = try local.entry(basis.path), source.file?.digest == file.digest, source.file?.size == file.size else {
                    return plan.want(index, file)
                }
                let gone = deleted ?? Set(change.delta.deletions)
                deleted = gone
                plan.take(index, entry, file, source, gone)
            case .runs(let runs):
                let old = ContentDigest.isByBlocks(size: file.size) ? try local.entry(basis.path)?.file : nil
                plan.want(index, file, Known(basis: basis.path, runs: runs, old: old))
            case .unknown:
                plan.want(index, file, file.size >= Self.deltaThreshold ? Known(basis: basis.path) : nil)
            }
        }
    }

    /// - Parameters:
    ///   - puts: of the delta.
    ///   - deletions: of the delta.
    ///   - local: the generation that is here.
    init(_ puts: DeltaPuts, deletions: [TreePath], local: VolumeManifest) throws {
        guard !local.entries.isEmpty else {
            wants.reserveCapacity(puts.count)
            try eachFirst(of: puts) { plan, index, _, file in plan.want(index, file) }
            return
        }
        var open: [Int] = []
        var digests: Set<Digest> = []
        try eachFirst(of: puts) { _, index, _, file in
            open.append(index)
            digests.insert(file.digest)
        }
        let here = Self.sources(of: digests, in: local)
        let deleted = here.isEmpty ? [] : Set(deletions)
        let reader = puts.reader()
        for index in open {
            let entry = try reader.entry(index)
            guard let file = entry.file else { continue }
            let old = local[entry.path]
            if let place = here[file.digest] {
                take(index, entry, file, old?.file?.digest == file.digest ? old ?? local.entries[place] : local.entries[place], deleted)
            } else {
                want(index, file, Self.basis(for: file, old).map { Known(basis: $0) })
            }
        }
    }

    private mutating func want(_ put: Int, _ file: FileContent, _ known: Known? = nil) {
        wants.append(Want(put: put, known: known))
        if file.isLargeAndSparse { sparseBytes.add(file.size) }
    }

    /// The content is in a file of the generation that is here.
    private mutating func take(_ put: Int, _ entry: TreeEntry, _ file: FileContent, _ source: TreeEntry, _ deleted: Set<TreePath>) {
        // An inode that has other names too would be seen as a hard link of them.
        let isAlone = file.linkGroup == 0 && source.file?.linkGroup == 0
        let isMove = isAlone && deleted.contains(source.path) && source.hasInode(like: entry)
        locals.append(Local(put: put, source: source.path, isMove: isMove))
        if !isMove { copy(file) }
    }

    private mutating func copy(_ file: FileContent) {
        if file.isLargeAndSparse { sparseBytes.add(file.size) } else { copiedBytes.add(file.size) }
    }

    private mutating func copyAgain(_ put: Int, of first: Int, _ file: FileContent) {
        repeats.append(Repeat(put: put, first: first, isLink: false))
        copy(file)
        if !file.isLargeAndSparse { repeatedBytes.add(file.size) }
    }

    /// Calls the body with the files whose content has to come from somewhere: not the empty ones, and of equal ones the first. Notes
    /// the others.
    private mutating func eachFirst(
        of puts: DeltaPuts, _ body: (inout FetchPlan, Int, TreeEntry, FileContent) throws -> Void
    ) throws {
        var groups: [UInt64: Int] = [:]
        var digests = DigestTable(count: puts.count)
        let reader = puts.reader()
        for index in 0..<puts.count {
            let entry = try reader.entry(index)
            guard let file = entry.file else {
                others.append(index)
                continue
            }
            if file.linkGroup != 0 {
                if let first = groups[file.linkGroup] {
                    repeats.append(Repeat(put: index, first: first, isLink: true))
                    continue
                }
                groups[file.linkGroup] = index
            }
            if file.size == 0 {
                empty.append(index)
            } else if let first = try digests.take(file.digest, index, at: reader.place(index), content: reader.content) {
                copyAgain(index, of: first, file)
            } else {
                try body(&self, index, entry, file)
            }
        }
    }

    /// Where the wanted contents are; one pass over the manifest instead of an index of all of it.
    private static func sources(of digests: Set<Digest>, in local: VolumeManifest) -> [Digest: Int] {
        var found: [Digest: Int] = [:]
        guard !digests.isEmpty else { return found }
        for (index, entry) in local.entries.enumerated() {
            if let digest = entry.file?.digest, digests.contains(digest) { found[digest] = index }
        }
        return found
    }

    private static func basis(for new: FileContent, _ old: TreeEntry?) -> TreePath? {
        guard let old, let before = old.file, new.size >= deltaThreshold, before.size >= deltaThreshold else { return nil }
        return old.path
    }

}

extension FileContent {
    /// One whose zeros cost next to nothing.
    var isLargeAndSparse: Bool { isSparse && ContentDigest.isByBlocks(size: size) }
}

extension UInt64 {
    /// Stays at the largest number.
    mutating func add(_ other: UInt64) {
        let (sum, overflow) = addingReportingOverflow(other)
        self = overflow ? .max : sum
    }
}
