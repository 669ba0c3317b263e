import Digests

/// Finds the files of one layer by the digests of their contents: twelve bytes a file.
///
/// It knows the first eight bytes of each digest, sorted. Digests are evenly spread, so that a look goes straight to about the right place and
/// takes a few steps whatever the size. What it finds is a hint, to be compared with the layer's manifest.
public struct DigestIndex: Sendable, Equatable {
    private let prefixes: [UInt64]
    /// Of each, the position among the layer's puts.
    private let places: [UInt32]

    private static let magic = Array("FVX1".utf8)
    private static let entryLength = 12

    /// Of a layer's delta.
    public init(of delta: DeltaManifest) {
        var files = Files()
        for entry in delta.puts { files.pass(entry) }
        self.init(files)
    }

    /// The same of a layer's table. Linear, with the memory of the index twice.
    public init(of table: ManifestTable) throws {
        var files = Files()
        var cursor = ManifestCursor(puts: table)
        while try cursor.advance() { files.pass(try cursor.entry()) }
        self.init(files)
    }

    private init(_ files: consuming Files) {
        files.found.sort { ($0.prefix, $0.place) < ($1.prefix, $1.place) }
        prefixes = files.found.map(\.prefix)
        places = files.found.map(\.place)
    }

    /// What is found in a layer, put by put.
    private struct Files {
        var found: [(prefix: UInt64, place: UInt32)] = []
        private var groups: Set<UInt64> = []
        private var next = 0

        mutating func pass(_ entry: TreeEntry) {
            defer { next += 1 }
            guard let file = entry.file, file.size > 0, next <= UInt32.max else { return }
            if file.linkGroup != 0, !groups.insert(file.linkGroup).inserted { return }
            found.append((DigestIndex.prefix(of: file.digest), UInt32(next)))
        }
    }

    /// How many files.
    public var count: Int { prefixes.count }

    /// Where files may be that have this content, as positions among the layer's puts.
    public func places(of digest: Digest) -> [Int] {
        let wanted = Self.prefix(of: digest)
        var index = firstIndex(notBefore: wanted)
        var found: [Int] = []
        while index < prefixes.count, prefixes[index] == wanted {
            found.append(Int(places[index]))
            index += 1
        }
        return found
    }

    private static func prefix(of digest: Digest) -> UInt64 {
        digest.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
    }

    /// Interpolation search, which halves the rest where the guess is bad.
    private func firstIndex(notBefore wanted: UInt64) -> Int {
        var low = 0
        var high = prefixes.count
        var guesses = true
        while low < high {
            let first = prefixes[low]
            let last = prefixes[high - 1]
            if wanted <= first { return low }
            if wanted > last { return high }
            var probe = (low + high) / 2
            if guesses, last > first {
                probe = low + Int(Double(wanted - first) / Double(last - first) * Double(high - 1 - low))
                probe = min(max(probe, low), high - 1)
            }
            guesses.toggle()
            if prefixes[probe] < wanted { low = probe + 1 } else { high = probe }
        }
        return low
    }

    /// The binary form, its own digest at the end.
    public func encoded() -> [UInt8] {
        var encoder = ByteEncoder(reserving: count * Self.entryLength + 64)
        encoder.raw(Self.magic)
        encoder.number(count)
        for prefix in prefixes { withUnsafeBytes(of: prefix.bigEndian) { encoder.raw($0) } }
        for place in places { withUnsafeBytes(of: place.bigEndian) { encoder.raw($0) } }
        return encoder.sealed()
    }

    /// Reads the binary form; throws ``TreeSyncError/badManifest(_:)`` where it is damaged.
    public init(decoding bytes: [UInt8]) throws {
        (prefixes, places) = try bytes.withUnsafeBytes { bytes in
            var decoder = try ByteDecoder(sealed: bytes, magic: Self.magic)
            let count = try decoder.count(of: Self.entryLength)
            let prefixes = try decoder.raw(count * 8)
            let places = try decoder.raw(count * 4)
            try decoder.end()
            return (
                (0..<count).map { UInt64(bigEndian: prefixes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) },
                (0..<count).map { UInt32(bigEndian: places.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)) }
            )
        }
        guard zip(prefixes, prefixes.dropFirst()).allSatisfy({ $0 <= $1 }) else { throw TreeSyncError.badManifest("an index out of order") }
    }
}
