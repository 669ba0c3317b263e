import BlockingIO
import BuildPlan
import Digests
import FarmAPI
import FileTree
import NIOCore
import Synchronization
import Transport

/// The directories of contexts, as far as steps here read them: fetched from the coordinator, kept on this disk.
final class ContextTrees: Sendable {
    /// Bytes of directory objects that are kept: some hundred contexts.
    private static let limit: UInt64 = 512 << 20
    /// Objects of one request: its answer is held in memory.
    private static let batch = 2_000
    /// Selections that are known to be whole; a few hundred bytes each.
    private static let knownLimit = 10_000
    /// A selection is brought so often when others' trims take its objects away: more than once is a cache far too small.
    private static let attempts = 3

    private struct Key: Hashable {
        var root: Digest
        var part: TreeSelection
    }

    /// What steps read.
    let objects: ObjectStore
    private let api: APIClient
    private let memo = SelectionMemo()
    private let whole = Mutex<Set<Key>>([])

    /// Blocking.
    init(directory: String, api: APIClient) throws {
        objects = try ObjectStore(directory: Array(directory.utf8))
        self.api = api
    }

    /// The content digest of a part of a context, as the coordinator computes it too.
    func digest(of selection: TreeSelection, root: Digest) async throws -> Digest {
        for _ in 1..<Self.attempts {
            do {
                return try await digestOnce(of: selection, root: root)
            } catch FileTreeError.missingObject {
                // Another step's trim took it away in between.
                forget()
            }
        }
        return try await digestOnce(of: selection, root: root)
    }

    private func digestOnce(of selection: TreeSelection, root: Digest) async throws -> Digest {
        try await bring(selection, root: root)
        return try await BlockingPool.shared.run { [objects, memo] in
            try TreeSelector(reader: objects, root: root, memo: memo).digest(of: selection)
        }
    }

    private func forget() { whole.withLock { $0 = [] } }

    /// Brings the directories that a selection needs: a request for each level of the tree.
    func bring(_ selection: TreeSelection, root: Digest) async throws {
        let key = Key(root: root, part: selection)
        if whole.withLock({ $0.contains(key) }) { return }
        while true {
            let missing = try await BlockingPool.shared.run { [self] in try gaps(key) }
            if missing.isEmpty { break }
            for start in stride(from: 0, to: missing.count, by: Self.batch) {
                try await fetch(Array(missing[start..<min(missing.count, start + Self.batch)]))
            }
        }
        whole.withLock { whole in
            if whole.count >= Self.knownLimit { whole = [] }
            whole.insert(key)
        }
        await trim()
    }

    private func trim() async {
        let freed = try? await BlockingPool.shared.run { [objects] in objects.trim(to: Self.limit, keeping: []) }
        if freed ?? 0 > 0 { forget() }
    }

    private func gaps(_ key: Key) throws -> [Digest] {
        let reader = GapReader(objects)
        do {
            _ = try TreeSelector(reader: reader, root: key.root).closure(of: key.part)
        } catch  where !reader.gaps.isEmpty {
            // A directory that is not here looks empty: what was not found in it may be in it.
        }
        return reader.gaps
    }

    private func fetch(_ digests: [Digest]) async throws {
        var body: [UInt8] = []
        body.reserveCapacity(digests.count * Digest.byteCount)
        for digest in digests { digest.withUnsafeBytes { body.append(contentsOf: $0) } }
        let response = try await api.send("POST", "/api/v1/agent/trees", body: .bytes(ByteBuffer(bytes: body)))
        _ = try await BodyPipe.read(response.body) { [objects] source in
            let pack = MemoryPack()
            let writer = try ContentPackWriter(pack)
            for digest in digests {
                guard let header = try source.readExactly(4) else { throw AgentError.badAnswer("directory objects end too early") }
                let length = header.reversed().reduce(0) { $0 << 8 | Int($1) }
                guard length <= ObjectStore.objectLimit, let bytes = try source.readExactly(length) else {
                    throw AgentError.badAnswer("a directory object of \(length) bytes")
                }
                // The store checks the digest.
                try bytes.withUnsafeBytes { try writer.append(digest, $0) }
            }
            try writer.finish()
            try objects.receive(pack)
        }
    }
}

/// Takes directories that are not here for empty ones, and remembers them.
private final class GapReader: TreeReader {
    private let objects: ObjectStore
    private(set) var gaps: [Digest] = []
    private var seen: Set<Digest> = []

    init(_ objects: ObjectStore) { self.objects = objects }

    func object(_ digest: Digest) throws -> TreeObject {
        do {
            return try objects.object(digest)
        } catch FileTreeError.missingObject {
            if seen.insert(digest).inserted { gaps.append(digest) }
            return TreeObject(entries: [])
        }
    }
}

/// A pack in memory: written once, then read.
private final class MemoryPack: ByteSink, ByteSource {
    private var bytes: [UInt8] = []
    private var position = 0

    func write(_ more: UnsafeRawBufferPointer) throws { bytes.append(contentsOf: more) }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(buffer.count, bytes.count - position)
        bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count])) }
        position += count
        return count
    }
}
