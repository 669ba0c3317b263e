import Digests

/// Where the content of each file of a delta comes from: pure arithmetic of manifests.
public struct FetchPlan: Sendable {
    /// A file whose content has to come from the holder.
    struct Want: Sendable, Equatable {
        /// Index into the delta's puts.
        var put: Int
        /// An older version that is here, and where: its signature goes to the holder, which answers with an rsync delta.
        var basis: TreePath?
        /// What the new version has of that one, where it is known: then only the rest is asked for.
        var runs: [ContentRun]?
        /// The beginning of it that came with an earlier transfer; stands for the older version.
        var arrived: Descriptor?
        /// What is in the old version of a large file.
        var old: FileContent?
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

    var wants: [Want] = []
    var locals: [Local] = []
    var repeats: [Repeat] = []
    /// Files without content.
    var empty: [Int] = []

    /// Below this size a signature and a delta save less than they cost.
    static let deltaThreshold: UInt64 = 16 << 10

    /// By generation: the holder says what each file was made of, so that nothing is searched here.
    ///
    /// - Parameter local: the generation that is here, and that the change stands upon.
    public init(_ change: GenerationChange, local: any GenerationLookup) throws {
        let bases = Dictionary(uniqueKeysWithValues: change.bases.map { ($0.put, $0) })
        let delta = change.delta
        var deleted: Set<TreePath>?
        for index in firsts(of: delta) {
            let entry = delta.puts[index]
            guard let basis = bases[index] else {
                wants.append(Want(put: index))
                continue
            }
            switch basis.relation {
            case .same:
                // What the holder says is compared with what is known here.
                guard let source = try local.entry(basis.path), source.file?.digest == entry.file?.digest,
                    source.file?.size == entry.file?.size
                else {
                    wants.append(Want(put: index))
                    continue
                }
                let gone = deleted ?? Set(delta.deletions)
                deleted = gone
                // An inode that has other names too would be seen as a hard link of them.
                let isAlone = entry.file?.linkGroup == 0 && source.file?.linkGroup == 0
                let isMove = isAlone && gone.contains(source.path) && source.hasInode(like: entry)
                locals.append(Local(put: index, source: source.path, isMove: isMove))
            case .runs(let runs):
                let isLarge = ContentDigest.isByBlocks(size: entry.file?.size ?? 0)
                let old = isLarge ? try local.entry(basis.path)?.file : nil
                wants.append(Want(put: index, basis: basis.path, runs: runs, old: old))
            case .unknown:
                let isWorthwhile = (entry.file?.size ?? 0) >= Self.deltaThreshold
                wants.append(Want(put: index, basis: isWorthwhile ? basis.path : nil))
            }
        }
    }

    /// - Parameter local: the generation that is here.
    public init(delta: DeltaManifest, local: VolumeManifest) {
        let open = firsts(of: delta)
        let here = Self.sources(of: Set(open.compactMap { delta.puts[$0].file?.digest }), in: local)
        let deleted = here.isEmpty ? [] : Set(delta.deletions)
        for index in open {
            let entry = delta.puts[index]
            let old = local[entry.path]
            if let digest = entry.file?.digest, let place = here[digest] {
                let source = old?.file?.digest == digest ? old ?? local.entries[place] : local.entries[place]
                // An inode that has other names too would be seen as a hard link of them.
                let isAlone = entry.file?.linkGroup == 0 && source.file?.linkGroup == 0
                let isMove = isAlone && deleted.contains(source.path) && source.hasInode(like: entry)
                locals.append(Local(put: index, source: source.path, isMove: isMove))
            } else {
                wants.append(Want(put: index, basis: Self.basis(for: entry, old)))
            }
        }
    }

    /// The files whose content has to come from somewhere: not the empty ones, and of equal ones the first.
    private mutating func firsts(of delta: DeltaManifest) -> [Int] {
        var firstOfGroup: [UInt64: Int] = [:]
        var firstOfDigest: [Digest: Int] = [:]
        var open: [Int] = []
        for (index, entry) in delta.puts.enumerated() {
            guard let file = entry.file else { continue }
            if file.linkGroup != 0 {
                if let first = firstOfGroup[file.linkGroup] {
                    repeats.append(Repeat(put: index, first: first, isLink: true))
                    continue
                }
                firstOfGroup[file.linkGroup] = index
            }
            if file.size == 0 {
                empty.append(index)
            } else if let first = firstOfDigest[file.digest] {
                repeats.append(Repeat(put: index, first: first, isLink: false))
            } else {
                firstOfDigest[file.digest] = index
                open.append(index)
            }
        }
        return open
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

    private static func basis(for entry: TreeEntry, _ old: TreeEntry?) -> TreePath? {
        guard let old, let new = entry.file, let before = old.file, new.size >= deltaThreshold, before.size >= deltaThreshold else {
            return nil
        }
        return old.path
    }

    /// How many files the holder has to send.
    public var wantedFiles: Int { wants.count }
}
