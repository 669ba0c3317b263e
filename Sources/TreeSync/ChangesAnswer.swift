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

    /// A peer's answer as it was read.
    public enum Received: Sendable {
        case decoded(ChangesAnswer)
        /// ``whole(generation:_:)``: in a file, as the delta that makes it of nothing.
        case recorded(generation: Int, ManifestTable)
    }

    /// Reads a peer's answer; also says how many bytes it took on the wire.
    public static func read(from source: any ByteSource) throws -> (answer: ChangesAnswer, received: Int64) {
        let blocks = BlockSource(source)
        let (tag, generation) = try readHead(blocks)
        return (try read(tag, generation, blocks), blocks.received)
    }

    /// The same, without decoding what is all of a generation.
    ///
    /// - Parameter path: asked for where the answer is that; of a file that is there, checked, when this returns, and not when it throws.
    public static func read(
        from source: any ByteSource, recordingWhole path: () throws -> String
    ) throws -> (answer: Received, received: Int64) {
        let blocks = BlockSource(source)
        let (tag, generation) = try readHead(blocks)
        guard tag == wholeTag else { return (.decoded(try read(tag, generation, blocks)), blocks.received) }
        let table = try ManifestRecord.receive(blocks, to: try path())
        return (.recorded(generation: generation, table), blocks.received)
    }

    private static func readHead(_ blocks: BlockSource) throws -> (tag: UInt8, generation: Int) {
        let tag = try blocks.byte()
        return (tag, tag == sameTag ? 0 : Int(try blocks.number(upTo: generationLimit)))
    }

    private static func read(_ tag: UInt8, _ generation: Int, _ blocks: BlockSource) throws -> ChangesAnswer {
        switch tag {
        case sameTag:
            _ = try blocks.rest(upTo: 0)
            return .same
        case compareTag:
            _ = try blocks.rest(upTo: 0)
            return .compare(generation: generation)
        case deltaTag:
            let bytes = Int64(try blocks.number(upTo: UInt64(Int64.max)))
            let totals = VolumeTotals(bytes: bytes, files: Int64(try blocks.number(upTo: UInt64(VolumeManifest.entryLimit))))
            let change = try GenerationChange(decoding: try blocks.rest(upTo: VolumeManifest.encodedLimit))
            return .delta(generation: generation, totals, change)
        case wholeTag:
            return .whole(generation: generation, try VolumeManifest(decoding: try blocks.rest(upTo: VolumeManifest.encodedLimit)))
        default: throw TreeSyncError.badStream("an answer of the unknown kind \(tag)")
        }
    }
}
