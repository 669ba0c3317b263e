import Digests

/// Where the content of a file of a delta comes from, as the agent knew that made it: it had the version before.
///
/// It is a hint. Who follows it verifies what comes out, and asks for the whole file where it is not what was announced.
public struct FileBasis: Sendable, Equatable {
    /// What the new content has of the old.
    public enum Relation: Sendable, Equatable {
        /// It is the same: only the metadata or the name has changed.
        case same
        /// These parts of it; the rest is new. At most ``GenerationChange/runLimit``.
        case runs([ContentRun])
        /// The file was there before, and nobody has compared them.
        case unknown
    }

    /// Index into the delta's puts; a file that is not empty.
    var put: Int
    /// The old file in the generation that the delta stands upon.
    var path: TreePath
    var relation: Relation
}

/// A delta and what its maker knew about the files in it: an entry of a volume's journal.
public struct GenerationChange: Sendable, Equatable {
    /// Ranges that are asked for in one piece; more, and the file goes by signature.
    static let runLimit = 1 << 20

    public private(set) var delta: DeltaManifest
    /// In the order of the puts. A file without one was not there before.
    public private(set) var bases: [FileBasis]

    /// A delta of which nothing else is known than that its files are new.
    public init(_ delta: DeltaManifest = DeltaManifest()) {
        self.delta = delta
        bases = []
    }

    init(delta: DeltaManifest, bases: [FileBasis]) {
        self.delta = delta
        self.bases = bases
    }

    /// This change and then the later one, as one.
    public func followed(by later: GenerationChange) -> GenerationChange {
        let whole = delta.followed(by: later.delta)
        var earlierPuts: [TreePath: Int] = [:]
        for (index, entry) in delta.puts.enumerated() where !entry.isDirectory { earlierPuts[entry.path] = index }
        let mine = Dictionary(uniqueKeysWithValues: bases.map { ($0.put, $0) })
        let theirs = Dictionary(uniqueKeysWithValues: later.bases.map { ($0.put, $0) })
        var latePuts: [TreePath: Int] = [:]
        for (index, entry) in later.delta.puts.enumerated() where !entry.isDirectory { latePuts[entry.path] = index }
        var joined: [FileBasis] = []
        for (index, entry) in whole.puts.enumerated() {
            guard let size = entry.file?.size else { continue }
            var basis: FileBasis?
            if let late = latePuts[entry.path] {
                guard let second = theirs[late] else { continue }
                if let between = earlierPuts[second.path] {
                    basis = mine[between].map { Self.composing($0, second) }
                } else {
                    basis = second
                }
            } else if let early = earlierPuts[entry.path] {
                basis = mine[early]
            }
            guard var basis, size > 0 else { continue }
            basis.put = index
            // What two makers said need not fit together.
            if case .runs(let runs) = basis.relation, !Self.areServed(runs, size: size) { basis.relation = .unknown }
            joined.append(basis)
        }
        return GenerationChange(delta: whole, bases: joined)
    }

    /// Whether others take such runs for a file of that size.
    private static func areServed(_ runs: [ContentRun], size: UInt64) -> Bool {
        runs.count <= runLimit && runs.last.map { $0.position + $0.length <= size } ?? true
    }

    private static func composing(_ first: FileBasis, _ second: FileBasis) -> FileBasis {
        let relation: FileBasis.Relation =
            switch (first.relation, second.relation) {
            case (.unknown, _), (_, .unknown): .unknown
            case (.same, let relation), (let relation, .same): relation
            case (.runs(let earlier), .runs(let later)): .runs(ContentRun.composing(earlier, later))
            }
        return FileBasis(put: second.put, path: first.path, relation: relation)
    }

    /// The same change upon a generation that others made meanwhile; see ``DeltaManifest/rebased(from:onto:)``.
    public func rebased(from old: any GenerationLookup, onto head: any GenerationLookup) throws -> GenerationChange {
        let rebased = try delta.rebased(from: old, onto: head)
        let known = Dictionary(uniqueKeysWithValues: bases.map { (delta.puts[$0.put].path, $0) })
        var kept: [FileBasis] = []
        for (index, entry) in rebased.puts.enumerated() where (entry.file?.size ?? 0) > 0 {
            // What the others changed is no longer what was compared.
            if var basis = known[entry.path], let there = try head.entry(basis.path)?.file,
                try old.entry(basis.path)?.file?.digest == there.digest
            {
                basis.put = index
                kept.append(basis)
            } else if try head.entry(entry.path)?.file != nil {
                kept.append(FileBasis(put: index, path: entry.path, relation: .unknown))
            }
        }
        return GenerationChange(delta: rebased, bases: kept)
    }
}

extension GenerationChange {
    /// The same, its hard links numbered as those of the generation that follows `parent`.
    public func numberingLinks(after parent: Int) -> GenerationChange {
        GenerationChange(delta: delta.numberingLinks(after: parent), bases: bases)
    }

    private static let magic = Array("FVJ1".utf8)
    private static let sameTag: UInt8 = 0
    private static let runsTag: UInt8 = 1
    private static let unknownTag: UInt8 = 2
    /// Another path than the put's follows.
    private static let pathFlag: UInt8 = 4
    /// The least bytes of a basis and of a run.
    private static let basisMinimum = 2
    private static let runMinimum = 3

    /// The binary form, see `docs/formats-volumes.md`, its own digest at the end.
    public func encoded() -> [UInt8] { encoded(manifest: delta.encoded()) }

    /// The same; `manifest` is what ``DeltaManifest/encoded()`` gives for the delta, of who has it.
    public func encoded(manifest: [UInt8]) -> [UInt8] {
        var encoder = ByteEncoder(reserving: manifest.count + bases.count * 32)
        encoder.raw(Self.magic)
        encoder.string(manifest)
        encoder.number(bases.count)
        var next = 0
        for basis in bases {
            encoder.number(basis.put - next)
            next = basis.put + 1
            let isElsewhere = basis.path != delta.puts[basis.put].path
            let flag = isElsewhere ? Self.pathFlag : 0
            switch basis.relation {
            case .same: encoder.byte(Self.sameTag | flag)
            case .runs: encoder.byte(Self.runsTag | flag)
            case .unknown: encoder.byte(Self.unknownTag | flag)
            }
            if isElsewhere { encoder.string(basis.path) }
            if case .runs(let runs) = basis.relation { Self.encode(runs, into: &encoder) }
        }
        return encoder.sealed()
    }

    private static func encode(_ runs: [ContentRun], into encoder: inout ByteEncoder) {
        encoder.number(runs.count)
        var end: UInt64 = 0
        var shift: Int64 = 0
        for run in runs {
            encoder.number(run.position - end)
            encoder.number(run.length)
            let own = Int64(run.source) - Int64(run.position)
            encoder.signed(own - shift)
            shift = own
            end = run.position + run.length
        }
    }

    /// Reads the binary form; throws ``TreeSyncError/badManifest(_:)`` for anything that ``encoded()`` would not have made.
    public init(decoding bytes: [UInt8]) throws {
        (delta, bases) = try bytes.withUnsafeBytes { bytes in
            var decoder = try ByteDecoder(sealed: bytes, magic: Self.magic)
            let delta = try DeltaManifest(decoding: try decoder.string(upTo: VolumeManifest.encodedLimit))
            let count = try decoder.count(of: Self.basisMinimum)
            var bases: [FileBasis] = []
            bases.reserveCapacity(count)
            var next = 0
            for _ in 0..<count {
                let put = next + (try decoder.number(Int.self, upTo: delta.puts.count))
                guard put < delta.puts.count, let file = delta.puts[put].file, file.size > 0 else {
                    throw TreeSyncError.badManifest("a basis of what is no file")
                }
                next = put + 1
                bases.append(try Self.basis(of: delta.puts[put].path, put, size: file.size, &decoder))
            }
            try decoder.end()
            return (delta, bases)
        }
    }

    private static func basis(of own: TreePath, _ put: Int, size: UInt64, _ decoder: inout ByteDecoder) throws -> FileBasis {
        let tag = try decoder.byte()
        var path = own
        if tag & pathFlag != 0 {
            path = try decoder.string(upTo: TreePaths.lengthLimit)
            if let fault = TreePaths.fault(in: path) { throw TreeSyncError.badManifest(fault) }
            guard path != own, !path.isEmpty else { throw TreeSyncError.badManifest("the path of a basis") }
        }
        switch tag & ~pathFlag {
        case sameTag: return FileBasis(put: put, path: path, relation: .same)
        case runsTag: return FileBasis(put: put, path: path, relation: .runs(try runs(size: size, &decoder)))
        case unknownTag: return FileBasis(put: put, path: path, relation: .unknown)
        default: throw TreeSyncError.badManifest("a basis of the unknown kind \(tag)")
        }
    }

    private static func runs(size: UInt64, _ decoder: inout ByteDecoder) throws -> [ContentRun] {
        let count = try decoder.count(of: runMinimum)
        guard count <= runLimit else { throw TreeSyncError.badManifest("\(count) runs in one file") }
        var runs: [ContentRun] = []
        runs.reserveCapacity(count)
        var end: UInt64 = 0
        var shift: Int64 = 0
        for _ in 0..<count {
            let position = end + (try decoder.number(UInt64.self, upTo: size - end))
            let length = try decoder.number(UInt64.self, upTo: size - position)
            let (moved, overflow) = shift.addingReportingOverflow(try decoder.signed())
            let (source, outside) = Int64(position).addingReportingOverflow(moved)
            // No file is larger, so that no number that is made of positions in files overflows.
            guard length > 0, !overflow, !outside, source >= 0, UInt64(source) <= FileContent.sizeLimit - length else {
                throw TreeSyncError.badManifest("a run that is outside of its file")
            }
            runs.append(ContentRun(position: position, length: length, source: UInt64(source)))
            shift = moved
            end = position + length
        }
        return runs
    }
}
