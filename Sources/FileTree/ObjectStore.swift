import BlockingIO
import Digests

/// Directory objects by digest on the disk, with the lately used ones in memory. They travel and lie in ``ContentPack``s, as contents do.
///
/// All methods block and may be called from several threads.
public final class ObjectStore: TreeReader, Sendable {
    /// Bytes of encoded objects in memory: a context of 50,000 files has about five million.
    public static let defaultCacheLimit = 64 << 20
    /// Bytes of an object: two million files in one directory.
    public static let objectLimit = 256 << 20

    // Roots that are remembered to be whole; a megabyte or two.
    private static let completeLimit = 20_000

    // Two generations: a hit in the old one moves to the young one; when the young one is full it becomes the old one.
    private struct Cache {
        var young: [Digest: TreeObject] = [:]
        var old: [Digest: TreeObject] = [:]
        var youngBytes = 0
        /// Trees that were found to be whole; forgotten when anything is removed.
        var complete: Set<Digest> = []
    }

    /// What is on the disk.
    public let packs: PackStore
    private let cache = Monitor(Cache())
    private let cacheLimit: Int

    /// Opens a store, making its directory where there is none.
    public init(directory: [UInt8], cacheLimit: Int = ObjectStore.defaultCacheLimit) throws {
        packs = try PackStore(directory: directory)
        self.cacheLimit = cacheLimit
    }

    /// True if the object is here.
    public func contains(_ digest: Digest) -> Bool { packs.contains(digest) }

    /// Takes objects in; see ``PackStore/receive(_:contentLimit:)``.
    @discardableResult
    public func receive(_ source: some ByteSource) throws -> PackStore.Received {
        try packs.receive(source, contentLimit: UInt64(Self.objectLimit))
    }

    /// Writes objects as a ``ContentPack``.
    public func write(_ digests: some Sequence<Digest>, to sink: some ByteSink) throws { try packs.write(digests, to: sink) }

    /// The directory of a digest.
    public func object(_ digest: Digest) throws -> TreeObject {
        let cached = cache.withLock { cache -> TreeObject? in
            if let object = cache.young[digest] { return object }
            guard let object = cache.old[digest] else { return nil }
            add(object, digest, to: &cache)
            return object
        }
        if let cached { return cached }
        let bytes: [UInt8]
        do {
            bytes = try packs.read(digest, limit: Self.objectLimit)
        } catch FileTreeError.missingContent {
            throw FileTreeError.missingObject(digest)
        }
        let object = try TreeObject(decoding: bytes)
        cache.withLock { add(object, digest, to: &$0) }
        return object
    }

    private func add(_ object: TreeObject, _ digest: Digest, to cache: inout Cache) {
        // An entry in memory takes about twice what it takes in the encoding.
        let bytes = 128 + object.entries.count * 160
        if cache.youngBytes + bytes > cacheLimit / 2 {
            cache.old = cache.young
            cache.young = [:]
            cache.youngBytes = 0
        }
        cache.young[digest] = object
        cache.youngBytes += bytes
    }

    /// The roots and all directories below them, as far as they are here.
    public func reachable(from roots: some Sequence<Digest>) -> Set<Digest> {
        var pending = Array(roots)
        var seen: Set<Digest> = []
        while let digest = pending.popLast() {
            guard contains(digest), seen.insert(digest).inserted, let object = try? object(digest) else { continue }
            for entry in object.entries { if case .directory(let child) = entry.content { pending.append(child) } }
        }
        return seen
    }

    /// True if the object and all directories below it are here.
    public func isComplete(_ root: Digest) throws -> Bool {
        var pending = [root]
        var seen: Set<Digest> = []
        while let digest = pending.popLast() {
            guard seen.insert(digest).inserted, !cache.withLock({ $0.complete.contains(digest) }) else { continue }
            guard contains(digest) else { return false }
            for entry in try object(digest).entries { if case .directory(let child) = entry.content { pending.append(child) } }
        }
        cache.withLock { cache in
            if cache.complete.count >= Self.completeLimit { cache.complete = [] }
            cache.complete.insert(root)
        }
        return true
    }

    /// Removes packs that were not used for the longest time; see ``PackStore/trim(to:keeping:)``.
    @discardableResult
    public func trim(to limit: UInt64, keeping keep: Set<Digest>) -> UInt64 {
        let freed = packs.trim(to: limit, keeping: keep)
        if freed > 0 { cache.withLock { $0.complete = [] } }
        return freed
    }
}
