/// What can be asked of a generation without reading all of its names.
public protocol GenerationLookup {
    /// The entry of a path; nil where there is none.
    func entry(_ path: TreePath) throws -> TreeEntry?
    /// Everything inside a directory, in tree order.
    func inside(_ path: TreePath) throws -> [TreeEntry]
}

extension VolumeManifest: GenerationLookup {
    public func entry(_ path: TreePath) -> TreeEntry? { self[path] }
    public func inside(_ path: TreePath) -> [TreeEntry] { Array(entries[inside(path) as Range<Int>]) }
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
        var sums = self
        func count(_ entry: TreeEntry, _ sign: Int64) {
            sums.bytes &+= sign &* Int64(clamping: entry.file?.size ?? 0)
            sums.files &+= sign
        }
        for entry in delta.puts {
            if let before = try old.entry(entry.path) { count(before, -1) }
            count(entry, 1)
        }
        for path in delta.deletions { if let before = try old.entry(path) { count(before, -1) } }
        return VolumeTotals(bytes: max(0, sums.bytes), files: max(0, sums.files))
    }
}
