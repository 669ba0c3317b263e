import BlockingIO
import Digests
import Glibc

/// Contents by digest on the disk, in the packs in which they came: one file for an upload of thousands of files.
///
/// A pack is visible when its index is: it is written and synchronized aside, then both are renamed, the index last. What a crash leaves
/// is deleted when the store is opened. All methods block and may be called from several threads.
public final class PackStore: Sendable {
    /// What an upload brought.
    public struct Received: Sendable, Hashable {
        /// Contents that were new.
        public var contents = 0
        /// Their bytes.
        public var bytes: UInt64 = 0
        public init() {}
    }

    struct Location {
        var pack: Int
        var offset: UInt64
        var length: UInt64
    }

    struct Pack {
        var name: String
        var size: UInt64
        var digests: [Digest]
        /// Rises with each use of any pack; for those of earlier processes, the order of the file's times.
        var lastUse: Int
    }

    private struct State {
        var locations: [Digest: Location] = [:]
        var packs: [Int: Pack] = [:]
        /// Packs that were read lately.
        var open: [Int: FileDescriptor] = [:]
        var nextNumber = 0
        var clock = 0
        var size: UInt64 = 0
    }

    /// A store may have thousands of packs, a process has a thousand descriptors.
    private static let openLimit = 32

    private static let packSuffix = ".pack"
    private static let indexSuffix = ".index"
    private static let asideSuffix = ".tmp"

    private let directory: FileDescriptor
    private let state = Monitor(State())

    /// Opens a store, making its directory where there is none. Reads the indexes of all packs.
    public init(directory path: [UInt8]) throws {
        if withPath(path, { mkdir($0, 0o700) }) != 0, errno != EEXIST { throw FileTreeError.last("make directory", path) }
        directory = try FileDescriptor(path, flags: O_RDONLY | O_DIRECTORY)
        try load()
    }

    // MARK: Reading

    /// True if the content is here.
    public func contains(_ digest: Digest) -> Bool { state.withLock { $0.locations[digest] != nil } }

    /// Those that are not here, in their order, each as often as it was asked for. Counts as a use of the packs of the others.
    public func missing(of digests: some Sequence<Digest>) -> [Digest] {
        state.withLock { state in
            var used: Set<Int> = []
            let missing = digests.filter { digest in
                guard let location = state.locations[digest] else { return true }
                used.insert(location.pack)
                return false
            }
            Self.use(used, &state)
            return missing
        }
    }

    /// Bytes of all packs.
    public var size: UInt64 { state.withLock { $0.size } }

    /// A whole content. Throws ``FileTreeError/missingContent(_:)``, ``FileTreeError/tooLarge(what:limit:)`` beyond `limit`, and
    /// ``FileTreeError/digestMismatch(expected:actual:)`` where the disk gave other bytes.
    public func read(_ digest: Digest, limit: Int) throws -> [UInt8] {
        guard let location = locate(digest) else { throw FileTreeError.missingContent(digest) }
        let file = try open(location.pack, for: digest)
        guard location.length <= UInt64(limit) else { throw FileTreeError.tooLarge(what: "content \(digest)", limit: limit) }
        let count = Int(location.length)
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled =
                try count == 0
                ? 0
                : file.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]),
                    at: Int64(location.offset))
        }
        let actual = Digest.of(bytes)
        guard actual == digest else { throw FileTreeError.digestMismatch(expected: digest, actual: actual) }
        return bytes
    }

    /// Writes contents as a ``ContentPack``, in the order in which they lie on the disk, each once.
    ///
    /// Throws ``FileTreeError/missingContent(_:)``, before anything is written unless a pack is removed meanwhile. The bytes are not checked here, but by who reads them.
    public func write(_ digests: some Sequence<Digest>, to sink: some ByteSink) throws {
        let wanted = try state.withLock { state in
            var wanted: [(digest: Digest, location: Location)] = []
            var used: Set<Int> = []
            for digest in Set(digests) {
                guard let location = state.locations[digest] else { throw FileTreeError.missingContent(digest) }
                used.insert(location.pack)
                wanted.append((digest, location))
            }
            Self.use(used, &state)
            return wanted.sorted { ($0.location.pack, $0.location.offset) < ($1.location.pack, $1.location.offset) }
        }
        let writer = try ContentPackWriter(sink)
        var current: (pack: Int, file: FileDescriptor)?
        for (digest, location) in wanted {
            let file: FileDescriptor
            if let current, current.pack == location.pack { file = current.file } else { file = try open(location.pack, for: digest) }
            current = (location.pack, file)
            try writer.append(digest, size: location.length, from: FileRegion(file, offset: location.offset, length: location.length))
        }
        try writer.finish()
    }

    private func locate(_ digest: Digest) -> Location? {
        state.withLock { state in
            guard let location = state.locations[digest] else { return nil }
            Self.use([location.pack], &state)
            return location
        }
    }

    // A pack that was removed since its content was located is missing as if it had been before.
    private func open(_ pack: Int, for digest: Digest) throws -> FileDescriptor {
        if let open = state.withLock({ $0.open[pack] }) { return open }
        let file: FileDescriptor
        do {
            file = try FileDescriptor(Array((Self.name(pack) + Self.packSuffix).utf8), in: directory.number)
        } catch FileTreeError.system(_, _, ENOENT) {
            throw FileTreeError.missingContent(digest)
        }
        state.withLock { state in
            if state.open.count >= Self.openLimit { state.open = [:] }
            if state.packs[pack] != nil { state.open[pack] = file }
        }
        return file
    }

    private static func use(_ packs: Set<Int>, _ state: inout State) {
        state.clock += 1
        for pack in packs { state.packs[pack]?.lastUse = state.clock }
    }

    // MARK: Writing

    /// Takes a pack in. Nothing of it is visible before all of it has arrived, was checked and is safely on the disk.
    ///
    /// - Parameter contentLimit: bytes of the largest content that is accepted.
    @discardableResult
    public func receive(_ source: some ByteSource, contentLimit: UInt64 = UInt64(Int64.max)) throws -> Received {
        let number = state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
        let name = Self.name(number)
        let aside = Array((name + Self.packSuffix + Self.asideSuffix).utf8)
        do {
            let file = try FileDescriptor(aside, in: directory.number, flags: O_RDWR | O_CREAT | O_EXCL)
            let (entries, size, received) = try copy(ContentPackReader(source, sizeLimit: contentLimit), to: file)
            guard !entries.isEmpty else {
                _ = withPath(aside) { unlinkat(directory.number, $0, 0) }
                return received
            }
            try file.synchronize()
            try publish(number, PackIndex(entries: entries, packSize: size))
            return received
        } catch {
            discard(name)
            throw error
        }
    }

    private func copy(
        _ reader: ContentPackReader<some ByteSource>, to file: FileDescriptor
    ) throws -> ([PackIndex.Entry], UInt64, Received) {
        let output = CountingSink(file)
        try output.append(ContentPackFormat.magic)
        var entries: [PackIndex.Entry] = []
        var added: Set<Digest> = []
        var received = Received()
        while let header = try reader.next() {
            if contains(header.digest) || !added.insert(header.digest).inserted {
                try reader.skip()
                continue
            }
            var frame: [UInt8] = [ContentPackFormat.content]
            frame.append(header.digest)
            frame.append(header.size)
            try output.append(frame)
            entries.append(PackIndex.Entry(digest: header.digest, offset: output.count, length: header.size))
            try reader.content { try output.write($0) }
            received.contents += 1
            received.bytes += header.size
        }
        try output.append([ContentPackFormat.end])
        try output.flush()
        return (entries, output.count, received)
    }

    private func publish(_ number: Int, _ index: PackIndex) throws {
        let name = Self.name(number)
        let indexAside = Array((name + Self.indexSuffix + Self.asideSuffix).utf8)
        let indexFile = try FileDescriptor(indexAside, in: directory.number, flags: O_WRONLY | O_CREAT | O_EXCL)
        try indexFile.write(index.encoded())
        try indexFile.synchronize()
        for suffix in [Self.packSuffix, Self.indexSuffix] {
            let from = Array((name + suffix + Self.asideSuffix).utf8)
            let status = withPath(from) { from in
                withPath(Array((name + suffix).utf8)) { renameat(directory.number, from, directory.number, $0) }
            }
            guard status == 0 else { throw FileTreeError.last("rename", from) }
        }
        try directory.synchronize()
        state.withLock { Self.add(number, name, index, &$0) }
    }

    private static func add(_ number: Int, _ name: String, _ index: PackIndex, _ state: inout State) {
        state.clock += 1
        for entry in index.entries {
            state.locations[entry.digest] = Location(pack: number, offset: entry.offset, length: entry.length)
        }
        state.packs[number] = Pack(
            name: name, size: index.packSize, digests: index.entries.map(\.digest), lastUse: state.clock)
        state.size += index.packSize
        state.nextNumber = max(state.nextNumber, number + 1)
    }

    // MARK: Removing

    /// Removes packs that were not used for the longest time until the rest has at most `limit` bytes.
    ///
    /// - Parameter keep: a pack with one of these stays.
    /// - Returns: bytes that were freed.
    @discardableResult
    public func trim(to limit: UInt64, keeping keep: Set<Digest>) -> UInt64 {
        let removed = state.withLock { state -> [Pack] in
            var removed: [Pack] = []
            for (number, pack) in state.packs.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
                if state.size <= limit { break }
                if pack.digests.contains(where: { keep.contains($0) && state.locations[$0]?.pack == number }) { continue }
                for digest in pack.digests where state.locations[digest]?.pack == number { state.locations[digest] = nil }
                state.packs[number] = nil
                state.open[number] = nil
                state.size -= pack.size
                removed.append(pack)
            }
            return removed
        }
        for pack in removed { discard(pack.name) }
        return removed.reduce(0) { $0 + $1.size }
    }

    // The index goes first: a pack without an index is nothing.
    private func discard(_ name: String) {
        for suffix in [Self.indexSuffix, Self.packSuffix] {
            for end in ["", Self.asideSuffix] {
                _ = withPath(Array((name + suffix + end).utf8)) { unlinkat(directory.number, $0, 0) }
            }
        }
    }

    // MARK: Opening

    private static func name(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 10 - digits.count)) + digits
    }

    private func load() throws {
        var indexes: Set<String> = []
        var others: [String] = []
        try DirectoryListing.forEach(in: directory) { name, _ in
            let name = String(decoding: name, as: UTF8.self)
            if name.hasSuffix(Self.indexSuffix) {
                indexes.insert(String(name.dropLast(Self.indexSuffix.count)))
            } else {
                others.append(name)
            }
        }
        var packs: [(number: Int, name: String, index: PackIndex, used: Int64)] = []
        for name in indexes {
            // Numbers only grow: the names of a store are its own.
            guard let number = Int(name), Self.name(number) == name else { continue }
            do {
                let pack = Array((name + Self.packSuffix).utf8)
                let index = try PackIndex(path: joined(directory.path, Array((name + Self.indexSuffix).utf8)))
                let status = try FileDescriptor(pack, in: directory.number).status()
                guard status.size == Int64(clamping: index.packSize) else {
                    throw FileTreeError.malformed(what: "pack \(name)", reason: "its length is wrong")
                }
                packs.append((number, name, index, status.modified))
            } catch {
                // Damaged by a crash or a disk: what is missing is asked for again.
                discard(name)
                indexes.remove(name)
            }
        }
        for other in others where other.hasSuffix(Self.asideSuffix) { discardFile(other) }
        for other in others where other.hasSuffix(Self.packSuffix) {
            if !indexes.contains(String(other.dropLast(Self.packSuffix.count))) { discardFile(other) }
        }
        state.withLock { state in
            for pack in packs.sorted(by: { ($0.used, $0.number) < ($1.used, $1.number) }) {
                Self.add(pack.number, pack.name, pack.index, &state)
            }
        }
    }

    private func discardFile(_ name: String) { _ = withPath(Array(name.utf8)) { unlinkat(directory.number, $0, 0) } }
}

/// A part of a file, read without moving the file's position.
private final class FileRegion: ByteSource {
    private let file: FileDescriptor
    private var offset: UInt64
    private var left: UInt64

    init(_ file: FileDescriptor, offset: UInt64, length: UInt64) {
        self.file = file
        self.offset = offset
        left = length
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let wanted = Int(min(UInt64(buffer.count), left))
        guard wanted > 0 else { return 0 }
        let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: Int64(offset))
        offset += UInt64(count)
        left -= UInt64(count)
        return count
    }
}

/// Collects small writes and counts.
private final class CountingSink {
    private let file: FileDescriptor
    private var waiting: [UInt8] = []
    private(set) var count: UInt64 = 0

    init(_ file: FileDescriptor) { self.file = file }

    func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        count += UInt64(bytes.count)
        waiting.append(contentsOf: bytes)
        if waiting.count >= ContentPackFormat.bufferSize { try flush() }
    }

    func flush() throws {
        try file.write(waiting)
        waiting.removeAll(keepingCapacity: true)
    }
}
