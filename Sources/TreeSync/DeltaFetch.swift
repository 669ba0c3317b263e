import BlockingIO

/// The receiver's side: makes a directory that holds a delta, of what is here and of what a holder sends.
///
/// The order: ``prepare()``; then, while ``nextRound`` is not empty, ``writeRequest(_:to:)`` and ``readResponse(_:from:)`` at the same
/// time on two threads; then ``finish()``. Nothing is to be looked at in the directory before that, and all of it is verified then.
public struct DeltaFetch: Sendable {
    /// Files to ask for in one request.
    public struct Round: Sendable {
        private(set) var wants: [FetchPlan.Want] = []
        /// What the answers write, at the most.
        fileprivate(set) var writtenBytes: UInt64 = 0
        /// Bytes of the files that are asked for as they are, and of the others.
        fileprivate var plain = 0.0
        fileprivate var differences = 0.0

        fileprivate init(reserving count: Int = 0) { wants.reserveCapacity(count) }

        /// - Parameter writes: so many bytes at the most.
        fileprivate mutating func append(_ want: FetchPlan.Want, _ entry: TreeEntry, writes bytes: UInt64) {
            wants.append(want)
            writtenBytes.add(bytes)
            let size = Double(entry.file?.size ?? 0)
            // Of a sparse file nobody knows how much will come.
            let isPlain = want.known?.basis == nil && want.known?.runs == nil && entry.file?.isSparse != true
            if isPlain { plain += size } else { differences += size }
        }

        /// Whether there is nothing to ask for.
        public var isEmpty: Bool { wants.isEmpty }
        /// How many files.
        public var count: Int { wants.count }
    }

    private let puts: DeltaPuts
    let plan: FetchPlan
    private let files: GenerationFiles
    private let directory: String
    private let lists: BlockLists?
    let spares: SpareFiles?
    private let whiteouts: [TreePath]

    /// - Parameters:
    ///   - local: the manifest of the generation that is here, and that the delta stands upon; empty for none.
    ///   - files: that generation's files.
    ///   - directory: is there and empty, on the same file system as the files.
    ///   - lists: of the blocks of large files.
    public init(
        delta: DeltaManifest, local: VolumeManifest, files: GenerationFiles, directory: String, lists: BlockLists? = nil
    ) throws {
        let puts = DeltaPuts.list(delta.puts)
        let plan = try FetchPlan(puts, deletions: delta.deletions, local: local)
        self.init(puts, plan, try DeltaDirectory.whiteouts(of: delta, upon: local), files, directory, lists, nil)
    }

    /// All of a generation, where nothing is here.
    ///
    /// - Parameters:
    ///   - table: its puts; few of them are decoded at a time.
    ///   - directory: is there and empty.
    ///   - lists: of the blocks of large files.
    public init(whole table: ManifestTable, directory: String, lists: BlockLists? = nil) throws {
        let puts = DeltaPuts.table(table)
        let plan = try FetchPlan(puts, deletions: [], local: VolumeManifest())
        self.init(puts, plan, [], try GenerationFiles(layers: []), directory, lists, nil)
    }

    /// By generation: a change whose maker knew what its files were made of.
    ///
    /// - Parameters:
    ///   - local: the generation that is here, and that the change stands upon.
    ///   - files: that generation's files.
    ///   - directory: is there and empty, on the same file system as the files.
    ///   - lists: of the blocks of large files.
    ///   - spares: of the large files of that generation.
    public init(
        _ change: GenerationChange, local: any GenerationLookup, files: GenerationFiles, directory: String, lists: BlockLists? = nil,
        spares: SpareFiles? = nil
    ) throws {
        let whiteouts = try DeltaDirectory.whiteouts(of: change.delta, upon: local)
        let plan = try FetchPlan(change, local: local)
        self.init(.list(change.delta.puts), plan, whiteouts, files, directory, lists, spares)
    }

    private init(
        _ puts: DeltaPuts, _ plan: FetchPlan, _ whiteouts: [TreePath], _ files: GenerationFiles, _ directory: String,
        _ lists: BlockLists?, _ spares: SpareFiles?
    ) {
        self.spares = spares
        self.whiteouts = whiteouts
        self.puts = puts
        self.plan = plan
        self.files = files
        self.directory = directory
        self.lists = lists
    }

    /// Makes everything that needs no holder; returns what is to be asked for.
    ///
    /// - Parameters:
    ///   - sources: are tried, in their order, for what the generation that is here has not.
    ///   - room: how many bytes there is room for.
    public func prepare(from sources: [LocalContents] = [], room: UInt64 = .max) throws -> Round {
        let writer = try TreeWriter(directory: directory, lists: lists)
        let puts = puts.reader()
        for put in plan.others { try writer.make(puts.entry(put)) }
        for path in whiteouts { try writer.whiteout(path) }
        for put in plan.empty { try writer.writeFile(puts.entry(put)) { _ in } }
        var round = Round(reserving: plan.wants.count)
        func bring(_ want: FetchPlan.Want, _ entry: TreeEntry) throws {
            if try sources.contains(where: { try $0.make(entry, with: writer) }) { return }
            let want = withHoles(continued(want, entry, sources), entry, room: room)
            round.append(want, entry, writes: written(want, entry))
        }
        for want in plan.wants { try bring(want, puts.entry(want.put)) }
        for item in plan.locals {
            let entry = try puts.entry(item.put)
            if try !makeLocal(item, entry, writer) { try bring(FetchPlan.Want(put: item.put), entry) }
        }
        return round
    }

    /// The wish for the rest of a large file, where its beginning is here.
    private func continued(_ want: FetchPlan.Want, _ entry: TreeEntry, _ sources: [LocalContents]) -> FetchPlan.Want {
        guard want.known?.basis == nil, want.known?.runs == nil, ContentDigest.isByBlocks(size: entry.file?.size ?? 0),
            let longest = sources.compactMap({ $0.beginning(of: entry) }).max(by: { $0.length < $1.length })
        else { return want }
        let runs = [ContentRun(position: 0, length: longest.length, source: 0)]
        return FetchPlan.Want(put: want.put, known: FetchPlan.Known(runs: runs, arrived: longest.file))
    }

    /// False where the content that should be here is not: it is brought instead.
    private func makeLocal(_ item: FetchPlan.Local, _ entry: TreeEntry, _ writer: TreeWriter) throws -> Bool {
        guard let (file, _) = try files.open(item.source) else { return false }
        // Not every file system has room for another link; the copy always works.
        if item.isMove, (try? writer.link(entry, to: file)) != nil { return true }
        do {
            try writer.copy(entry, from: file)
            return true
        } catch TreeSyncError.digestMismatch {
            return false
        }
    }

    /// Bytes of the files of which everything is asked for; 0 where more than a part of all is asked for as differences.
    public func plainBytes(of round: Round) -> Int64 {
        round.differences * Self.plainShare <= round.plain ? Int64(min(round.plain, 1e18)) : 0
    }

    /// Files that are asked for as a whole must have so many times the bytes of the others.
    private static let plainShare = 4.0

    /// Reads what the answers to a round will be put together with, before they come. For a thread of its own; ends early when it is interrupted.
    public func readAhead(of round: Round, _ interruption: Interruption) {
        files.readAhead(round.wants.lazy.compactMap { $0.known?.arrived == nil ? $0.known?.basis : nil }, interruption)
    }

    /// Writes what is wanted, with the signatures of older versions.
    public func writeRequest(_ round: Round, to sink: any ByteSink) throws {
        let blocks = BlockSink(sink)
        let puts = puts.reader()
        for want in round.wants {
            let entry = try puts.entry(want.put)
            if let runs = want.known?.runs {
                try blocks.write(FetchFormat.wish(for: ContentRun.gaps(between: runs, size: entry.file?.size ?? 0), of: entry))
                continue
            }
            let basis = try want.known?.basis.flatMap { try files.open($0) }
            var head = ByteEncoder()
            head.byte(want.known?.basis == nil ? FetchFormat.whole : FetchFormat.signature)
            head.string(entry.path)
            head.number(entry.file?.size ?? 0)
            try blocks.write(head.bytes)
            guard want.known?.basis != nil else { continue }
            guard let (file, status) = basis else { throw TreeSyncError.contentGone(path: TreePaths.text(entry.path)) }
            let chunks = ChunkSink(blocks)
            try Rsync.writeSignature(of: FileSource(file: file, path: entry.path), size: UInt64(status.st_size), to: chunks)
            try chunks.finish()
        }
        try blocks.write([FetchFormat.end])
        try blocks.finish()
    }

    /// Reads the answers and writes the files. Returns what has to be asked for again, as wholes, because an rsync delta did not give what
    /// was announced, and the bytes that came.
    ///
    /// - Parameter room: for so many bytes; a holder that sends more, be it zeros for a sparse file, is refused.
    public func readResponse(
        _ round: Round, from source: any ByteSource, room: UInt64 = .max
    ) throws -> (again: Round, received: Int64) {
        let answer = BlockSource(source)
        let allowance = Allowance(room)
        let writer = try TreeWriter(directory: directory, lists: lists)
        let puts = puts.reader()
        var again = Round()
        func askAgain(_ want: FetchPlan.Want, _ entry: TreeEntry) {
            let whole = FetchPlan.Want(put: want.put)
            again.append(whole, entry, writes: written(whole, entry))
        }
        for want in round.wants {
            let entry = try puts.entry(want.put)
            switch try answer.byte() {
            case FetchFormat.content:
                let size = entry.file?.size ?? 0
                guard try answer.number(upTo: size) == size else { throw TreeSyncError.digestMismatch(path: TreePaths.text(entry.path)) }
                try allowance.take(size, for: entry.path)
                try writer.writeFile(entry) { try CountedSource(answer, count: size).copy(to: $0) }
            case FetchFormat.sparse: try fill(entry, answer, allowance, writer)
            case FetchFormat.delta:
                try allowance.take(entry.file?.size ?? 0, for: entry.path)
                if try !patch(entry, want, ChunkSource(answer), writer) { askAgain(want, entry) }
            case FetchFormat.pieces:
                try allowance.take(written(want, entry), for: entry.path)
                if try !assemble(entry, want, answer, writer) { askAgain(want, entry) }
            case FetchFormat.gone: throw TreeSyncError.contentGone(path: TreePaths.text(entry.path))
            case let tag: throw TreeSyncError.badStream("an answer of the unknown kind \(tag)")
            }
        }
        _ = try answer.rest(upTo: 0)
        return (again, answer.received)
    }

    /// Makes a file of the pairs of a hole and data that arrive.
    private func fill(_ entry: TreeEntry, _ answer: BlockSource, _ allowance: Allowance, _ writer: TreeWriter) throws {
        let size = entry.file?.size ?? 0
        guard try answer.number(upTo: size) == size else { throw TreeSyncError.digestMismatch(path: TreePaths.text(entry.path)) }
        try writer.writeFile(entry) { sink in
            var position: UInt64 = 0
            while position < size {
                let hole = try answer.number(upTo: size - position)
                let data = try answer.number(upTo: size - position - hole)
                position += hole + data
                guard data > 0 || (hole > 0 && position == size) else { throw TreeSyncError.badStream("a part of a file that is nothing") }
                try sink.skip(hole)
                try allowance.take(data, for: entry.path)
                try CountedSource(answer, count: data).copy(to: sink)
            }
        }
    }

    private func patch(_ entry: TreeEntry, _ want: FetchPlan.Want, _ chunks: ChunkSource, _ writer: TreeWriter) throws -> Bool {
        guard want.known?.runs == nil, let basis = want.known?.basis, let (file, status) = try files.open(basis) else {
            throw TreeSyncError.badStream("a delta that nobody asked for")
        }
        // A delta of nothing but literals is a little longer than its file.
        let limit = Int(clamping: (entry.file?.size ?? 0) * 2 + UInt64(FetchFormat.chunkSize))
        do {
            try writer.writeFile(entry) { try Rsync.patch(old: file, size: UInt64(status.st_size), delta: chunks, to: $0) }
        } catch TreeSyncError.digestMismatch, TreeSyncError.librsync {
            try chunks.drain(upTo: limit)
            return false
        }
        try chunks.drain(upTo: 0)
        return true
    }

    /// Makes a file of what it has in common with the old one and of the pieces that arrive. False where that is not what was announced.
    private func assemble(_ entry: TreeEntry, _ want: FetchPlan.Want, _ answer: BlockSource, _ writer: TreeWriter) throws -> Bool {
        guard let known = want.known, let runs = known.runs, let size = entry.file?.size else {
            throw TreeSyncError.badStream("pieces that nobody asked for")
        }
        let gaps = ContentRun.gaps(between: runs, size: size)
        let pieces = CountedSource(answer, count: gaps.reduce(0) { $0 + $1.length })
        guard let file = try known.arrived ?? known.basis.flatMap({ try files.open($0)?.file }) else {
            try pieces.drain()
            return false
        }
        do {
            if let lists, let spares, let content = known.old {
                let patch = LargeFilePatch(lists: lists, spares: spares)
                let isPossible = patch.isPossible(entry, old: content, runs: runs)
                if try isPossible && patch.make(entry, file, old: content, runs: runs, pieces: pieces, with: writer) { return true }
            }
            try writer.writeFile(entry) { try Self.assemble(old: file, runs, gaps, pieces, into: $0) }
            return true
        } catch TreeSyncError.digestMismatch {
            try pieces.drain()
            return false
        }
    }

    private static func assemble(
        old: Descriptor, _ runs: [ContentRun], _ gaps: [ContentRun.Range], _ pieces: CountedSource, into sink: FileSink
    ) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Rsync.bufferSize, alignment: 16)
        defer { buffer.deallocate() }
        func portions(_ length: UInt64, _ body: (UnsafeMutableRawBufferPointer, UInt64) throws -> Void) rethrows {
            var done: UInt64 = 0
            while done < length {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(min(UInt64(buffer.count), length - done))))
                try body(part, done)
                done += UInt64(part.count)
            }
        }
        var run = runs.makeIterator()
        var gap = gaps.makeIterator()
        var nextRun = run.next()
        var nextGap = gap.next()
        while nextRun != nil || nextGap != nil {
            if let piece = nextGap, nextRun.map({ piece.position < $0.position }) ?? true {
                try portions(piece.length) { part, _ in
                    try pieces.readFully(into: part)
                    try sink.write(UnsafeRawBufferPointer(part))
                }
                nextGap = gap.next()
            } else if let common = nextRun {
                try portions(common.length) { part, done in
                    guard try old.readFully(at: common.source + done, into: part) else { throw TreeSyncError.digestMismatch(path: "") }
                    try sink.write(UnsafeRawBufferPointer(part))
                }
                nextRun = run.next()
            }
        }
    }

    /// Makes the files that others of the delta are the source of, and gives the directories their metadata.
    public func finish() throws {
        let writer = try TreeWriter(directory: directory, lists: lists)
        // The first of equal ones may be anywhere.
        let (puts, firsts) = (puts.reader(), puts.reader())
        for item in plan.repeats {
            let entry = try puts.entry(item.put)
            let first = try firsts.entry(item.first)
            if item.isLink {
                try writer.link(entry, to: first.path)
            } else {
                try writer.copy(entry, from: try writer.openMade(first.path))
            }
        }
        for put in plan.others {
            let entry = try puts.entry(put)
            if entry.isDirectory { writer.touch(entry) }
        }
        try writer.finish()
    }
}
