/// What can be asked of a generation without reading all of its names.
public protocol GenerationLookup {
    /// The entry of a path; nil where there is none.
    func entry(_ path: TreePath) throws -> TreeEntry?
    /// Everything inside a directory, in tree order.
    func inside(_ path: TreePath) throws -> [TreeEntry]
    /// Calls the body with each name that is directly in a directory, in tree order. What is inside of those is passed over.
    func eachChild(of path: TreePath, _ body: (TreeEntry) throws -> Void) throws
}

extension VolumeManifest: GenerationLookup {
    public func entry(_ path: TreePath) -> TreeEntry? { self[path] }
    public func inside(_ path: TreePath) -> [TreeEntry] { Array(entries[inside(path) as Range<Int>]) }
    public func eachChild(of path: TreePath, _ body: (TreeEntry) throws -> Void) throws {
        guard let index = index(of: path) else { return }
        try eachChild(ofEntryAt: index) { try body(entries[$0]) }
    }
}

/// The sums of a generation: for people and quotas, not for the protocol.
public struct VolumeTotals: Sendable, Equatable {
    /// Of all files, each hard link counted.
    public var bytes: Int64
    /// Names, directories among them.
    public var files: Int64

    public init(bytes: Int64 = 0, files: Int64 = 0) {
        self.bytes = bytes
        self.files = files
    }

    /// Of a whole generation. Linear.
    public init(of manifest: VolumeManifest) { self.init(bytes: manifest.contentBytes, files: Int64(manifest.entries.count)) }

    /// The sums after a delta: a look at each name of the delta, and at no other.
    public func applying(_ delta: DeltaManifest, upon old: any GenerationLookup) throws -> VolumeTotals {
        var growth = VolumeTotals()
        for entry in delta.puts {
            if let before = try old.entry(entry.path) { growth.count(before, -1) }
            growth.count(entry, 1)
        }
        for path in delta.deletions { if let before = try old.entry(path) { growth.count(before, -1) } }
        return adding(growth)
    }

    /// Of all that a cursor goes through. Linear.
    ///
    /// - Parameter large: gets each file whose content has a digest by blocks.
    public init(reading cursor: GenerationCursor, large: (TreeEntry) -> Void) throws {
        self.init()
        while try cursor.advance() {
            let entry = try cursor.entry()
            count(entry, 1)
            if let file = entry.file, ContentDigest.isByBlocks(size: file.size) { large(entry) }
        }
    }

    /// With what a delta adds, or takes.
    public func adding(_ growth: VolumeTotals) -> VolumeTotals {
        VolumeTotals(bytes: max(0, bytes &+ growth.bytes), files: max(0, files &+ growth.files))
    }

    /// Counts an entry, or with -1 no longer.
    mutating func count(_ entry: TreeEntry, _ sign: Int64) {
        bytes &+= sign &* Int64(clamping: entry.file?.size ?? 0)
        files &+= sign
    }
}
