import BlockingIO

/// What a holder answers to "what changed since generation k?".
public enum ChangesAnswer: Sendable, Equatable {
    /// The asker has what the holder has.
    case same
    /// From the journal: what makes the asker's generation this one.
    case delta(generation: Int, VolumeTotals, GenerationChange)
    /// There is no common generation: everything there is.
    case whole(generation: Int, VolumeManifest)
    /// There is no common generation, and the asker has a tree of its own to compare with this one.
    case compare(generation: Int)

    private static let sameTag: UInt8 = 0
    private static let deltaTag: UInt8 = 1
    private static let wholeTag: UInt8 = 2
    private static let compareTag: UInt8 = 3
    /// Generations are counted; nobody reaches this.
    static let generationLimit: UInt64 = 1 << 40

    /// Writes the answer, compressed. `encoded` spares the encoding where the manifest's bytes are there already.
    public func write(to sink: any ByteSink) throws {
        let blocks = BlockSink(sink)
        var head = ByteEncoder()
        switch self {
        case .same:
            head.byte(Self.sameTag)
            try blocks.write(head.bytes)
        case .delta(let generation, let totals, let change):
            head.byte(Self.deltaTag)
            head.number(generation)
            head.number(UInt64(clamping: totals.bytes))
            head.number(UInt64(clamping: totals.files))
            try blocks.write(head.bytes)
            try blocks.write(change.encoded())
        case .whole(let generation, let manifest):
            head.byte(Self.wholeTag)
            head.number(generation)
            try blocks.write(head.bytes)
            try blocks.write(manifest.encoded())
        case .compare(let generation):
            head.byte(Self.compareTag)
            head.number(generation)
            try blocks.write(head.bytes)
        }
        try blocks.finish()
    }

    /// Writes ``whole(generation:_:)`` of a generation that nobody has in memory.
    ///
    /// - Parameter tables: of its layers, the lowest first.
    public static func write(whole generation: Int, of tables: [ManifestTable], to sink: any ByteSink) throws {
        let blocks = BlockSink(sink)
        var head = ByteEncoder()
        head.byte(wholeTag)
        head.number(generation)
        try blocks.write(head.bytes)
        try ManifestStream.write(manifestOf: tables, to: blocks)
        try blocks.finish()
    }

    /// Reads a peer's answer; also says how many bytes it took on the wire.
    public static func read(from source: any ByteSource) throws -> (answer: ChangesAnswer, received: Int64) {
        let blocks = BlockSource(source)
        let tag = try blocks.byte()
        if tag == sameTag {
            _ = try blocks.rest(upTo: 0)
            return (.same, blocks.received)
        }
        let generation = Int(try blocks.number(upTo: generationLimit))
        if tag == compareTag {
            _ = try blocks.rest(upTo: 0)
            return (.compare(generation: generation), blocks.received)
        }
        switch tag {
        case deltaTag:
            let bytes = Int64(try blocks.number(upTo: UInt64(Int64.max)))
            let totals = VolumeTotals(bytes: bytes, files: Int64(try blocks.number(upTo: UInt64(VolumeManifest.entryLimit))))
            let change = try GenerationChange(decoding: try blocks.rest(upTo: VolumeManifest.encodedLimit))
            return (.delta(generation: generation, totals, change), blocks.received)
        case wholeTag:
            let manifest = try VolumeManifest(decoding: try blocks.rest(upTo: VolumeManifest.encodedLimit))
            return (.whole(generation: generation, manifest), blocks.received)
        default: throw TreeSyncError.badStream("an answer of the unknown kind \(tag)")
        }
    }
}
