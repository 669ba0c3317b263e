/// What a delta puts: decoded, or in a file of which a few names at a time are.
enum DeltaPuts: Sendable {
    case list([TreeEntry])
    case table(ManifestTable)

    var count: Int {
        switch self {
        case .list(let entries): entries.count
        case .table(let table): table.putCount
        }
    }

    /// For one thread.
    func reader() -> PutReader { PutReader(self) }
}

/// One thread's looks at the puts of a delta, mostly one after the other: what was decoded last is kept.
final class PutReader {
    private let puts: DeltaPuts
    private var number = -1
    private var block: (entries: [TreeEntry], bodies: [Int]) = ([], [])

    init(_ puts: DeltaPuts) { self.puts = puts }

    /// By its position among the puts.
    func entry(_ position: Int) throws -> TreeEntry {
        switch puts {
        case .list(let entries): return entries[position]
        case .table(let table):
            try decode(position, of: table)
            return block.entries[position % ManifestTable.stride]
        }
    }

    /// Where the content of a put is found again at once, below 2^28.
    func place(_ position: Int) throws -> Int {
        switch puts {
        case .list: return position
        case .table(let table):
            try decode(position, of: table)
            return block.bodies[position % ManifestTable.stride]
        }
    }

    /// What is at a place, nil for what is no file. Other puts are not decoded.
    func content(at place: Int) throws -> FileContent? {
        switch puts {
        case .list(let entries): entries[place].file
        case .table(let table): try table.content(at: place)
        }
    }

    private func decode(_ position: Int, of table: ManifestTable) throws {
        let wanted = position / ManifestTable.stride
        guard wanted != number else { return }
        block = try table.block(wanted)
        number = wanted
    }
}
