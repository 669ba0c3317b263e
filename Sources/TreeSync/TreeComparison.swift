import BlockingIO
import Digests

/// The asker's side of a comparison: finds what makes the tree that is here the holder's, though they have no generation in common.
///
/// It descends from the root, level by level, only where the directories' digests differ, and sends short fingerprints of what it has
/// in those; the holder names what is different. So the cost is that of the directories that differ, in as many round trips as
/// they are deep. What comes out is verified by the digest of the whole tree.
public struct TreeComparison {
    /// What a comparison gives.
    public struct Outcome: Sendable {
        /// From what is here to what the holder has; empty when they are the same.
        public var delta: DeltaManifest
        /// What the holder has.
        public var tree: ComparedTree
        /// The bytes that came, on the wire.
        public var received: Int64
    }

    private enum Question {
        /// A directory that both have: the index of the one here.
        case compare(Int)
        /// One that only the holder has.
        case everything(TreePath)
    }

    /// The bytes of the key of ``run(local:key:request:response:)``.
    public static let keyLength = Fingerprint.keyLength

    private let local: ComparedTree
    private let fingerprint: Fingerprint
    private var puts: [TreeEntry] = []
    private var deletions: [TreePath] = []
    private var questions: [Question] = []
    private var asked = 0
    /// Bytes of answers that may still come.
    private var room = VolumeManifest.encodedLimit
    private lazy var directories: [Digest: TreePath] = Dictionary(local.digests.all.lazy.map { ($0.value, $0.key) }) { first, _ in first }

    private init(local: ComparedTree, key: [UInt8]) {
        self.local = local
        fingerprint = Fingerprint(key: key)
    }

    /// Compares. Blocks; one thread serves both directions.
    ///
    /// - Parameters:
    ///   - local: what is here; it has a root.
    ///   - key: sixteen random bytes, new for each comparison.
    /// - Throws: ``TreeSyncError``; ``TreeSyncError/badManifest(_:)`` also when the outcome is not what the holder announced.
    public static func run(
        local: ComparedTree, key: [UInt8], request: any ByteSink, response: any ByteSource
    ) throws -> Outcome {
        let questions = BlockSink(request)
        let answers = BlockSource(response)
        try questions.write(key)
        try questions.write(local.digest.bytes)
        try questions.flush()
        if try answers.byte() == ComparisonFormat.same {
            try questions.write([ComparisonFormat.end])
            try questions.finish()
            _ = try answers.rest(upTo: 0)
            return Outcome(delta: DeltaManifest(), tree: local, received: answers.received)
        }
        let digest = try answers.raw(Digest.byteCount)
        var comparison = TreeComparison(local: local, key: key)
        try comparison.begin(root: answers.string(upTo: ComparisonFormat.rootLimit))
        while try comparison.ask(questions) { try comparison.hear(answers) }
        try questions.write([ComparisonFormat.end])
        try questions.finish()
        _ = try answers.rest(upTo: 0)
        return try comparison.outcome(digest, received: answers.received)
    }

    private mutating func begin(root: [UInt8]) throws {
        guard !local.manifest.entries.isEmpty else { throw TreeSyncError.badManifest("there is nothing here to compare") }
        try root.withUnsafeBytes { bytes in
            var decoder = ByteDecoder(bytes)
            puts.append(try decoder.entry([]))
            try decoder.end()
        }
        questions.append(.compare(0))
    }

    // MARK: Asking

    /// Writes one round; false when there is nothing left to ask.
    private mutating func ask(_ sink: BlockSink) throws -> Bool {
        var encoder = ByteEncoder()
        var fingerprints = 0
        let first = asked
        while asked < questions.count, fingerprints < ComparisonFormat.roundSize, asked - first < ComparisonFormat.roundDirectories {
            switch questions[asked] {
            case .compare(let index):
                encoder.byte(ComparisonFormat.compare)
                encoder.string(local.manifest.entries[index].path)
                fingerprints += compare(index, &encoder)
            case .everything(let path):
                encoder.byte(ComparisonFormat.everything)
                encoder.string(path)
            }
            asked += 1
        }
        guard asked > first else { return false }
        var head = ByteEncoder()
        head.byte(ComparisonFormat.round)
        head.number(asked - first)
        try sink.write(head.bytes)
        try sink.write(encoder.bytes)
        try sink.flush()
        return true
    }

    private func compare(_ index: Int, _ encoder: inout ByteEncoder) -> Int {
        var prints: [UInt64] = []
        local.manifest.eachChild(ofEntryAt: index) { child in
            let entry = local.manifest.entries[child]
            prints.append(fingerprint.of(entry, digest: entry.isDirectory ? local.digests[entry.path] : nil).littleEndian)
        }
        encoder.number(prints.count)
        prints.withUnsafeBytes { encoder.raw($0) }
        return prints.count
    }

    // MARK: Hearing

    private mutating func hear(_ source: BlockSource) throws {
        // Those of the round that was just asked; new ones come behind them.
        for place in heard..<asked {
            let bytes = try source.string(upTo: room)
            room -= bytes.count
            try bytes.withUnsafeBytes { bytes in
                var decoder = ByteDecoder(bytes)
                switch questions[place] {
                case .compare(let index): try hearDifference(index, &decoder)
                case .everything(let path): try hearEverything(path, &decoder)
                }
                try decoder.end()
            }
        }
        heard = asked
        guard puts.count <= ComparisonFormat.entryLimit else { throw TreeSyncError.badManifest("more than \(puts.count) entries") }
    }

    private var heard = 0

    private mutating func hearDifference(_ index: Int, _ decoder: inout ByteDecoder) throws {
        let directory = local.manifest.entries[index].path
        var children: [Int] = []
        local.manifest.eachChild(ofEntryAt: index) { children.append($0) }
        // What is here and not there in this form: replaced or deleted.
        var missing: [TreePath: Int] = [:]
        var next = 0
        for _ in 0..<(try decoder.number(Int.self, upTo: children.count)) {
            let place = next + (try decoder.number(Int.self, upTo: children.count))
            guard place < children.count else { throw TreeSyncError.badManifest("a name that was not asked for") }
            missing[local.manifest.entries[children[place]].path] = children[place]
            next = place + 1
        }
        for _ in 0..<(try decoder.number(Int.self, upTo: ComparisonFormat.childLimit)) {
            let path = TreePaths.join(directory, try decoder.string(upTo: TreePaths.nameLimit))
            let entry = try decoder.entry(path)
            var digest: Digest?
            if entry.isDirectory {
                digest = Digest(bytes: try decoder.raw(Digest.byteCount))
            }
            puts.append(entry)
            let old = missing.removeValue(forKey: path)
            if let digest { try descend(path, digest, old) } else if let old { hide(old) }
        }
        for (path, old) in missing {
            deletions.append(path)
            hide(old)
        }
    }

    /// Deletes what is in a directory that is none any more.
    private mutating func hide(_ index: Int) {
        deletions += local.manifest.entries[index + 1..<local.manifest.end(ofEntryAt: index)].lazy.map(\.path)
    }

    /// A directory of the holder, which is not here or differs in what is in it or in its metadata.
    private mutating func descend(_ path: TreePath, _ digest: Digest, _ old: Int?) throws {
        if let old, local.manifest.entries[old].isDirectory {
            if local.digests[path] != digest { questions.append(.compare(old)) }
        } else if digest == DirectoryDigests.empty {
            return
        } else if let same = directories[digest], let index = local.manifest.index(of: same) {
            // It was moved, or is there a second time.
            let inside = index + 1..<local.manifest.end(ofEntryAt: index)
            guard puts.count + inside.count <= ComparisonFormat.entryLimit else { throw TreeSyncError.badManifest("too many entries") }
            for place in inside {
                var entry = local.manifest.entries[place]
                entry.path = TreePaths.join(path, entry.path[(same.isEmpty ? 0 : same.count + 1)...])
                puts.append(entry)
            }
        } else {
            questions.append(.everything(path))
        }
    }

    private mutating func hearEverything(_ path: TreePath, _ decoder: inout ByteDecoder) throws {
        let entries = try decoder.entries()
        guard entries.allSatisfy({ TreePaths.isBelow($0.path, path) }) else {
            throw TreeSyncError.badManifest("a name that was not asked for")
        }
        puts += entries
    }

    private consuming func outcome(_ digest: [UInt8], received: Int64) throws -> Outcome {
        puts.sort { TreePaths.precedes($0.path, $1.path) }
        deletions.sort(by: TreePaths.precedes)
        let delta = try DeltaManifest(puts: puts, deletions: deletions)
        let tree = try local.applying(delta)
        guard tree.digest.bytes == digest else { throw TreeSyncError.badManifest("the comparison does not give what was announced") }
        return Outcome(delta: delta, tree: tree, received: received)
    }
}

extension ComparisonFormat {
    /// A root's metadata: its attributes, and some numbers.
    static let rootLimit =
        TreeEntry.attributeCountLimit * (TreeEntry.attributeNameLimit + TreeEntry.attributeValueLimit + 8) + 64
}
