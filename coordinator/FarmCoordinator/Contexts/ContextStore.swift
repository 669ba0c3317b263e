import BlockingIO
import BuildPlan
import Digests
import FileTree
import NIOCore
import Synchronization
import Transport

/// The contexts that clients have uploaded: directory objects and file contents, by digest.
final class ContextStore: ContextAccess {
    /// What several questions about one selection of a build share.
    private struct Selection: Hashable, Sendable {
        var root: Digest
        var part: TreeSelection
    }

    /// Files and directories of remembered closures: about 100 bytes each.
    private static let closureLimit = 500_000

    private struct Closures {
        var known: [Selection: TreeClosure] = [:]
        var size = 0
    }

    private let objects: ObjectStore
    private let packs: PackStore
    private let disk: DiskReserve
    private let limit: Int64
    private let treeLimit: Int64
    private let memo = SelectionMemo()
    private let closures = Mutex(Closures())
    /// What an open build needs.
    private struct Held {
        var selections: Set<Selection> = []
        /// Whose directories stay.
        var trees: Set<Digest> = []
    }

    /// By build.
    private let held = Mutex<[String: Held]>([:])

    /// What is left of a limit when something had to go: else each upload would look at everything again.
    private static let lowWater = 0.9

    /// - Parameters:
    ///   - limit: bytes of file contents that are kept; those that were not used for the longest time go first.
    ///   - treeLimit: the same of directories.
    init(layout: DataLayout, disk: DiskReserve, limit: Int64, treeLimit: Int64) async throws {
        (objects, packs) = try await BlockingPool.shared.run {
            (try ObjectStore(directory: Array(layout.objects.utf8)), try PackStore(directory: Array(layout.packs.utf8)))
        }
        self.disk = disk
        self.limit = limit
        self.treeLimit = treeLimit
    }

    // MARK: What the engine asks

    func hasTree(_ root: Digest) async throws -> Bool {
        try await BlockingPool.shared.run { [objects] in
            do { return try objects.isComplete(root) } catch FileTreeError.missingObject { return false }
        }
    }

    func contentDigest(root: Digest, selection: TreeSelection) async throws -> Digest {
        try await BlockingPool.shared.run { [objects, memo] in
            try TreeSelector(reader: objects, root: root, memo: memo).digest(of: selection)
        }
    }

    func missingContents(root: Digest, selections: [TreeSelection]) async throws -> [Digest] {
        try await BlockingPool.shared.run { [self] in packs.missing(of: try closure(root, selections).contents.keys).sorted() }
    }

    func contentBytes(root: Digest, selections: [TreeSelection]) async throws -> Int64 {
        try await BlockingPool.shared.run { [self] in Int64(clamping: try closure(root, selections).contentBytes) }
    }

    private func closure(_ root: Digest, _ selections: [TreeSelection]) throws -> TreeClosure {
        var whole = TreeClosure()
        for selection in selections {
            let one = try closure(Selection(root: root, part: selection))
            if selections.count == 1 { return one }
            whole.formUnion(one)
        }
        return whole
    }

    private func closure(_ selection: Selection) throws -> TreeClosure {
        if let known = closures.withLock({ $0.known[selection] }) { return known }
        let selector = TreeSelector(reader: objects, root: selection.root, memo: memo)
        let closure = try selector.closure(of: selection.part)
        let size = closure.contents.count + closure.objects.count + 1
        closures.withLock { closures in
            // Full: begin anew. What running builds need comes back with their next question.
            if closures.size + size > Self.closureLimit { closures = Closures() }
            guard size <= Self.closureLimit, closures.known.updateValue(closure, forKey: selection) == nil else { return }
            closures.size += size
        }
        return closure
    }

    func hold(_ selections: Set<TreeSelection>, root: Digest, for build: String) {
        held.withLock { held in
            held[build, default: Held()].selections = Set(selections.map { Selection(root: root, part: $0) })
            held[build]?.trees.insert(root)
        }
    }

    func holdTree(_ root: Digest, for build: String) { held.withLock { _ = $0[build, default: Held()].trees.insert(root) } }

    func release(_ build: String) { held.withLock { $0[build] = nil } }

    private func trim() {
        guard packs.size > UInt64(clamping: limit) else { return }
        var kept: Set<Digest> = []
        for selection in held.withLock({ $0.values.reduce(into: Set()) { $0.formUnion($1.selections) } }) {
            // What can't be read keeps nothing: its build fails by itself.
            if let closure = try? closure(selection) { kept.formUnion(closure.contents.keys) }
        }
        packs.trim(to: Self.low(limit), keeping: kept)
    }

    private func trimTrees() {
        guard objects.packs.size > UInt64(clamping: treeLimit) else { return }
        let kept = objects.reachable(from: held.withLock { $0.values.reduce(into: Set()) { $0.formUnion($1.trees) } })
        objects.trim(to: Self.low(treeLimit), keeping: kept)
    }

    private static func low(_ limit: Int64) -> UInt64 { UInt64(Double(max(0, limit)) * lowWater) }

    // MARK: What clients send

    /// Takes directory objects: for each, its length in four bytes, little-endian, and its encoding.
    func receiveTrees(_ body: InboundBody) async throws {
        try disk.check()
        _ = try await BodyBridge.read(body, limit: Limits.trees) { [self] source in
            let received = try objects.receive(try ObjectListSource(source, objectLimit: Limits.treeObject))
            trimTrees()
            return received
        }
    }

    /// Those directory objects that are not here.
    func missingTrees(_ digests: [Digest]) async throws -> [Digest] {
        try await BlockingPool.shared.run { [objects] in objects.packs.missing(of: digests) }
    }

    /// Takes file contents as a ``ContentPack``; all of them are there when this returns, none when it throws.
    func receiveContents(_ body: InboundBody) async throws {
        try disk.check()
        _ = try await BodyBridge.read(body, limit: Limits.contents) { [self] source in
            let received = try packs.receive(GuardedSource(source, disk: disk))
            trim()
            return received
        }
    }

    // MARK: What agents fetch

    /// Directory objects in the order of the digests: for each, its length in four bytes, little-endian, and its encoding.
    func sendTrees(_ digests: [Digest]) async throws -> ServerResponse {
        if let missing = try await missingTrees(digests).first { throw RouteError.notFound("directory object \(missing) is not here") }
        return .octetStream(
            BodyBridge.write { [objects] sink in
                for digest in digests {
                    let object = try objects.packs.read(digest, limit: Limits.treeObject)
                    try withUnsafeBytes(of: UInt32(object.count).littleEndian) { try sink.write($0) }
                    try sink.write(object)
                }
            })
    }

    /// File contents as a ``ContentPack``, each once, in the order of the disk.
    func sendContents(_ digests: [Digest]) async throws -> ServerResponse {
        let missing = try await BlockingPool.shared.run { [packs] in packs.missing(of: digests) }
        if let missing = missing.first { throw RouteError.notFound("file content \(missing) is not here") }
        return .octetStream(BodyBridge.write { [packs] sink in try packs.write(digests, to: sink) })
    }
}

/// Directory objects as clients send them, read as the pack that the store takes. Each is checked to be one.
private final class ObjectListSource: ByteSource {
    /// Collects what the pack's writer writes until it is read.
    private final class Buffer: ByteSink {
        var bytes: [UInt8] = []
        func write(_ more: UnsafeRawBufferPointer) throws { bytes.append(contentsOf: more) }
    }

    private let source: any ByteSource
    private let objectLimit: Int
    private let buffer = Buffer()
    private let writer: ContentPackWriter<Buffer>
    private var position = 0
    private var ended = false

    init(_ source: any ByteSource, objectLimit: Int) throws {
        self.source = source
        self.objectLimit = objectLimit
        writer = try ContentPackWriter(buffer)
    }

    func read(into target: UnsafeMutableRawBufferPointer) throws -> Int {
        while position == buffer.bytes.count {
            if ended { return 0 }
            buffer.bytes.removeAll(keepingCapacity: true)
            position = 0
            try fill()
        }
        let count = min(target.count, buffer.bytes.count - position)
        buffer.bytes.withUnsafeBytes { target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count])) }
        position += count
        return count
    }

    private func fill() throws {
        var header: [UInt8] = [0, 0, 0, 0]
        let count = try header.withUnsafeMutableBytes { try source.readFully(into: $0) }
        if count == 0 {
            try writer.finish()
            ended = true
            return
        }
        let length = header.reversed().reduce(0) { $0 << 8 | Int($1) }
        guard count == header.count, length <= objectLimit else {
            throw RouteError.badRequest("the body must be directory objects of at most \(objectLimit) bytes, each behind its length")
        }
        guard let bytes = try source.readExactly(length) else { throw RouteError.badRequest("the last directory object is cut off") }
        _ = try TreeObject(decoding: bytes)
        try bytes.withUnsafeBytes { try writer.append(Digest.of($0), $0) }
    }
}

/// An upload that stops before it takes the disk's reserve.
final class GuardedSource: ByteSource {
    /// Bytes between two looks at the disk.
    private static let interval: Int64 = 64 << 20

    private let source: any ByteSource
    private let disk: DiskReserve
    private var sinceCheck: Int64 = 0

    init(_ source: any ByteSource, disk: DiskReserve) {
        self.source = source
        self.disk = disk
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try source.read(into: buffer)
        sinceCheck += Int64(count)
        if sinceCheck >= Self.interval {
            sinceCheck = 0
            try disk.check()
        }
        return count
    }
}

extension ServerResponse {
    /// A streamed body of bytes.
    static func octetStream(_ body: OutboundBody) -> ServerResponse {
        ServerResponse(status: 200, headers: [HeaderField("content-type", "application/octet-stream")], body: body)
    }
}
