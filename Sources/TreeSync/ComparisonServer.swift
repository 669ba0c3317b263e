import BlockingIO
import Digests

/// The holder's side of a comparison: says for each directory that it is asked about what the asker has not.
public enum ComparisonServer {
    /// Serves one request. Blocks; memory is the fingerprints of one directory and one answer.
    ///
    /// - Parameters:
    ///   - request: of a peer; a malformed one throws ``TreeSyncError``.
    ///   - tree: the generation that the peer named; one that has a root.
    public static func serve(request: any ByteSource, tree: ComparedTree, response: any ByteSink) throws {
        let asked = BlockSource(request)
        let answer = BlockSink(response)
        let fingerprint = Fingerprint(key: try asked.raw(Fingerprint.keyLength))
        let theirs = try asked.raw(Digest.byteCount)
        let ours = tree.digest
        guard theirs != ours.bytes, let root = tree.manifest.entries.first else {
            try answer.write([ComparisonFormat.same])
            try answer.finish()
            return
        }
        var head = ByteEncoder()
        head.byte(ComparisonFormat.differs)
        head.raw(ours.bytes)
        var entry = ByteEncoder()
        entry.entry(root)
        head.string(entry.bytes)
        try answer.write(head.bytes)
        try answer.flush()
        // Nobody has a reason to ask for a directory twice.
        var left = tree.digests.count
        while try asked.byte() == ComparisonFormat.round {
            let count = Int(try asked.number(upTo: UInt64(ComparisonFormat.roundDirectories)))
            guard count <= left else { throw TreeSyncError.badStream("more questions than there are directories") }
            left -= count
            for _ in 0..<count { try serveOne(asked, tree, fingerprint, answer) }
            try answer.flush()
        }
        _ = try asked.rest(upTo: 0)
        try answer.finish()
    }

    private static func serveOne(_ asked: BlockSource, _ tree: ComparedTree, _ fingerprint: Fingerprint, _ answer: BlockSink) throws {
        let kind = try asked.byte()
        let path = try asked.string(upTo: TreePaths.lengthLimit)
        guard let index = tree.manifest.index(of: path), tree.manifest.entries[index].isDirectory else {
            throw TreeSyncError.badStream("a question about what is no directory")
        }
        var encoder = ByteEncoder()
        switch kind {
        case ComparisonFormat.compare:
            let count = Int(try asked.number(upTo: UInt64(ComparisonFormat.childLimit)))
            var places: [UInt64: Int] = [:]
            var position = 0
            while position < count {
                // In portions: the count alone must not take memory.
                let part = try asked.raw(8 * min(count - position, BlockFormat.blockSize / 8))
                part.withUnsafeBytes { bytes in
                    for offset in stride(from: 0, to: bytes.count, by: 8) {
                        places[UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))] = position
                        position += 1
                    }
                }
            }
            difference(tree, index, places, count, fingerprint, &encoder)
        case ComparisonFormat.everything:
            let inside = tree.manifest.entries[index + 1..<tree.manifest.end(ofEntryAt: index)]
            encoder.entries(inside)
        default: throw TreeSyncError.badStream("a question of the unknown kind \(kind)")
        }
        var head = ByteEncoder()
        head.number(encoder.bytes.count)
        try answer.write(head.bytes)
        try answer.write(encoder.bytes)
    }

    /// Which of the asker's fingerprints are of nothing here, and what is here that has none of its fingerprints.
    private static func difference(
        _ tree: ComparedTree, _ index: Int, _ places: [UInt64: Int], _ count: Int, _ fingerprint: Fingerprint, _ encoder: inout ByteEncoder
    ) {
        var there = [Bool](repeating: false, count: count)
        var added = ByteEncoder()
        var addedCount = 0
        tree.manifest.eachChild(ofEntryAt: index) { child in
            let entry = tree.manifest.entries[child]
            let digest = entry.isDirectory ? tree.digests[entry.path] : nil
            if let place = places[fingerprint.of(entry, digest: digest)] {
                there[place] = true
            } else {
                added.child(entry, digest: digest)
                addedCount += 1
            }
        }
        let missing = there.indices.filter { !there[$0] }
        encoder.number(missing.count)
        var next = 0
        for place in missing {
            encoder.number(place - next)
            next = place + 1
        }
        encoder.number(addedCount)
        encoder.raw(added.bytes)
    }
}
