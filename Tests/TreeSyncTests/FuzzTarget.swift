import BlockingIO
import Digests
import Glibc
import Synchronization

@testable import TreeSync

/// What takes bytes of a peer, or of a disk that may be damaged: each as a function of those bytes, with an example that it accepts.
enum FuzzTarget: String, CaseIterable, Sendable {
    case whole, delta, change, digests, index, changes, wishes, answers, holes, questions, comparison, signature, patch

    /// A place with a generation of two files, one of them large enough for rsync deltas, and an empty directory to write to.
    struct Bench {
        let folder: String
        let local: VolumeManifest
        let next: VolumeManifest
        /// `local` and files with holes.
        let sparse: VolumeManifest
        let files: GenerationFiles
        static let old = [UInt8]((0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
        static let new = Array("edited".utf8) + old
        /// More than anything here takes.
        static let room: UInt64 = 1 << 20
        /// Sparse files: how large, and where they have data. Of one the end is a hole, one is nothing else, one begins and ends with data.
        static let sparseFiles: [(name: String, size: Int, data: [Range<Int>])] = [
            ("ends", 200_000, [8192..<12_288]), ("none", 70_000, []), ("parts", 150_000, [0..<4096, 65_536..<73_728, 147_456..<150_000]),
        ]

        init() throws {
            let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
            folder = "\(temporary)/farm-fuzz-\(getpid())-\(UInt64.random(in: .min ... .max))"
            for path in ["", "/generation", "/generation/d", "/outside"] { mkdir(folder + path, 0o700) }
            let text = Array("hello".utf8)
            try Self.write(text, to: folder + "/generation/d/small")
            try Self.write(Self.old, to: folder + "/generation/big")
            for file in Self.sparseFiles { try Self.writeSparse(file.size, file.data, to: "\(folder)/generation/\(file.name)") }
            try Self.write(text, to: folder + "/outside/file")
            func entry(_ path: String, _ content: TreeEntry.Content = .directory) -> TreeEntry {
                TreeEntry(path: Array(path.utf8), mode: 0o755, uid: 0, gid: 0, modified: 7, content: content)
            }
            func file(_ path: String, _ bytes: [UInt8], group: UInt64 = 0) -> TreeEntry {
                entry(path, .file(FileContent(size: UInt64(bytes.count), digest: .of(bytes), linkGroup: group)))
            }
            var noted = file("d/noted", [1, 2, 3])
            noted.attributes = [TreeEntry.Attribute(name: Array("user.a".utf8), value: [1])]
            local = try VolumeManifest(entries: [entry(""), file("big", Self.old), entry("d"), file("d/small", text)])
            next = try VolumeManifest(entries: [
                entry(""), file("big", Self.new), entry("d"), file("d/l1", [9], group: 1 << 24), file("d/l2", [9], group: 1 << 24), noted,
                entry("e"), entry("e/link", .symlink(target: text)), entry("e/pipe", .fifo), file("new", [5, 6]),
            ])
            sparse = try VolumeManifest(
                entries: local.entries
                    + Self.sparseFiles.map { file in
                        let bytes = Self.contents(file.size, file.data)
                        return entry(file.name, .file(FileContent(size: UInt64(file.size), digest: .of(bytes), isSparse: true)))
                    })
            files = try GenerationFiles(layers: [folder + "/generation"])
        }

        func remove() { try? RemoveTree.remove(folder) }

        private static func write(_ bytes: [UInt8], to path: String) throws {
            let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
            _ = bytes.withUnsafeBytes { Glibc.write(file.number, $0.baseAddress, $0.count) }
        }

        private static func contents(_ size: Int, _ data: [Range<Int>]) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: size)
            for place in data.joined() { bytes[place] = UInt8(truncatingIfNeeded: place &* 31 &+ place >> 8) | 1 }
            return bytes
        }

        private static func writeSparse(_ size: Int, _ data: [Range<Int>], to path: String) throws {
            let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
            ftruncate(file.number, off_t(size))
            let bytes = contents(size, data)
            for range in data {
                _ = bytes[range].withUnsafeBytes { pwrite(file.number, $0.baseAddress, $0.count, off_t(range.lowerBound)) }
            }
        }

        /// A directory for one transfer.
        func staging() throws -> String {
            let path = "\(folder)/staging"
            try RemoveTree.remove(path)
            mkdir(path, 0o700)
            return path
        }
    }

    /// True for what comes inside a block stream: examples are without the frame, so that changes get behind it.
    var isFramed: Bool {
        switch self {
        case .changes, .wishes, .answers, .holes, .questions, .comparison: true
        case .whole, .delta, .change, .digests, .index, .signature, .patch: false
        }
    }

    /// True for what ends with its own digest: changed examples get a new one.
    var isSealed: Bool {
        switch self {
        case .whole, .delta, .change, .digests, .index: true
        default: false
        }
    }

    /// What only has to be right for the rest to be looked at: the digest at the end, the frame around it.
    func dressed(_ body: [UInt8]) throws -> [UInt8] {
        if isSealed { return body + Digest.of(body).bytes }
        guard isFramed else { return body }
        let wire = MemoryStream()
        let sink = BlockSink(wire)
        try sink.write(body)
        try sink.finish()
        return wire.bytes
    }

    /// Bytes that are accepted.
    func example(_ bench: Bench) throws -> [UInt8] {
        switch self {
        case .whole: return bench.next.encoded()
        case .delta: return bench.local.delta(to: bench.next).encoded()
        case .change: return change(bench).encoded()
        case .digests: return SavedDigests(generation: 3, digests: DirectoryDigests(of: bench.next)).encoded()
        case .index: return DigestIndex(of: bench.local.delta(to: bench.next)).encoded()
        case .changes:
            return try inside { try ChangesAnswer.delta(generation: 2, VolumeTotals(bytes: 9, files: 9), change(bench)).write(to: $0) }
        case .wishes: return try inside { try fetch(bench).writeRequest(fetch(bench).prepare(), to: $0) }
        case .answers:
            return try inside { sink in try ContentSender.serve(request: answersRequest(bench), files: newFiles(bench), response: sink) }
        case .holes:
            return try inside { sink in
                try ContentSender.serve(request: answersRequest(bench), files: bench.files, holes: true, response: sink)
            }
        case .questions, .comparison:
            let (asked, answered) = try conversation(bench)
            return self == .questions ? asked : answered
        case .signature:
            let wire = MemoryStream()
            try Rsync.writeSignature(of: MemoryStream(Bench.old), size: UInt64(Bench.old.count), to: wire)
            return wire.bytes
        case .patch:
            let wire = MemoryStream()
            try Rsync.writeDelta(signature: MemoryStream(FuzzTarget.signature.example(bench)), new: MemoryStream(Bench.new), to: wire)
            return wire.bytes
        }
    }

    /// Takes bytes as they would come. Throws what the code throws.
    func take(_ bytes: [UInt8], _ bench: Bench) throws {
        let wire = MemoryStream(bytes)
        switch self {
        case .whole:
            let recorded = Result { try record(bytes, bench) }
            let manifest = try? VolumeManifest(decoding: bytes)
            // Recorded, it is taken and refused as when it is decoded.
            guard let manifest else {
                if case .success = recorded { throw Accepted() }
                _ = try VolumeManifest(decoding: bytes)
                return
            }
            try same(manifest.encoded(), bytes)
            try same(recorded.get(), DeltaManifest(whole: manifest).encoded())
        case .delta:
            let delta = try DeltaManifest(decoding: bytes)
            try same(delta.encoded(), bytes)
            // Whatever can be decoded can be applied, combined and carried out.
            _ = bench.local.applying(delta)
            _ = delta.followed(by: delta)
            _ = try delta.rebased(from: bench.local, onto: bench.next).numberingLinks(after: 3)
            let staging = try bench.staging()
            let fetch = try DeltaFetch(delta: delta, local: bench.local, files: bench.files, directory: staging)
            if try fetch.prepare().isEmpty { try fetch.finish() }
        case .change:
            let change = try GenerationChange(decoding: bytes)
            try same(change.encoded(), bytes)
            _ = change.followed(by: change)
            _ = try change.rebased(from: bench.local, onto: bench.next).numberingLinks(after: 3)
            let fetch = try DeltaFetch(change, local: bench.local, files: bench.files, directory: try bench.staging())
            let round = try fetch.prepare()
            try fetch.writeRequest(round, to: Discarded())
            if round.isEmpty { try fetch.finish() }
        case .digests: _ = try SavedDigests(decoding: bytes)
        case .index:
            let index = try DigestIndex(decoding: bytes)
            for entry in bench.next.entries { if let file = entry.file { _ = index.places(of: file.digest) } }
        case .changes: _ = try ChangesAnswer.read(from: wire)
        case .wishes:
            try ContentSender.serve(request: wire, files: bench.files, response: Discarded())
            try ContentSender.serve(request: MemoryStream(bytes), files: bench.files, holes: true, response: Discarded())
        case .answers, .holes:
            let fetch = try fetch(bench)
            let (again, _) = try fetch.readResponse(try fetch.prepare(), from: wire, room: Bench.room)
            if again.isEmpty { try fetch.finish() }
        case .questions: try ComparisonServer.serve(request: wire, tree: ComparedTree(bench.next), response: Discarded())
        case .comparison:
            let outcome = try TreeComparison.run(
                local: ComparedTree(bench.local), key: Self.key, request: Discarded(), response: wire)
            try same(bench.local.applying(outcome.delta).encoded(), outcome.tree.manifest.encoded())
        case .signature: try Rsync.writeDelta(signature: wire, new: MemoryStream(Bench.new), to: Discarded())
        case .patch:
            let file = try Descriptor.open(bench.folder + "/generation/big", O_RDONLY)
            try Rsync.patch(old: file, size: UInt64(Bench.old.count), delta: wire, to: Discarded(limit: 1 << 20))
        }
    }

    /// Thrown where bytes were accepted that mean something else.
    struct Accepted: Error {}

    /// A whole generation's manifest as it is written where nothing is here. Leaves nothing where it is refused.
    private func record(_ bytes: [UInt8], _ bench: Bench) throws -> [UInt8] {
        let staging = try bench.staging()
        let wire = MemoryStream()
        let sink = BlockSink(wire)
        try sink.write([2, 2] + bytes)
        try sink.finish()
        do {
            _ = try ChangesAnswer.read(from: wire, recordingWhole: { staging + "/record" })
        } catch {
            guard try TreeReader.names(in: try Descriptor.directory(staging), []).isEmpty else { throw Accepted() }
            throw error
        }
        let file = MemoryStream()
        try FileSource(file: try Descriptor.open(staging + "/record", O_RDONLY), path: []).copy(to: file)
        return file.bytes
    }

    private func same(_ a: [UInt8], _ b: [UInt8]) throws { if a != b { throw Accepted() } }

    // MARK: Inside

    private static let key = [UInt8](repeating: 3, count: TreeComparison.keyLength)

    /// With what is known of the large file; the other files are new.
    private func change(_ bench: Bench) -> GenerationChange {
        let delta = bench.local.delta(to: bench.next)
        let runs = [ContentRun(position: UInt64(Bench.new.count - Bench.old.count), length: UInt64(Bench.old.count), source: 0)]
        let put = delta.puts.firstIndex { $0.path == Array("big".utf8) } ?? 0
        return GenerationChange(delta: delta, bases: [FileBasis(put: put, path: Array("big".utf8), relation: .runs(runs))])
    }

    /// The answers by what is known, the wishes by signature.
    private func fetch(_ bench: Bench) throws -> DeltaFetch {
        if self == .answers {
            return try DeltaFetch(change(bench), local: bench.local, files: bench.files, directory: try bench.staging())
        }
        let delta = bench.local.delta(to: self == .holes ? bench.sparse : bench.next)
        return try DeltaFetch(delta: delta, local: bench.local, files: bench.files, directory: try bench.staging())
    }

    private func answersRequest(_ bench: Bench) throws -> MemoryStream {
        let wire = MemoryStream()
        let fetch = try fetch(bench)
        try fetch.writeRequest(fetch.prepare(), to: wire)
        return wire
    }

    private func newFiles(_ bench: Bench) throws -> GenerationFiles {
        let folder = bench.folder + "/new"
        for path in ["", "/d", "/e"] { mkdir(folder + path, 0o700) }
        for (path, bytes) in [("/big", Bench.new), ("/d/l1", [9]), ("/d/noted", [1, 2, 3]), ("/new", [5, 6])] {
            let file = try Descriptor.open(folder + path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
            _ = bytes.withUnsafeBytes { Glibc.write(file.number, $0.baseAddress, $0.count) }
        }
        return try GenerationFiles(layers: [folder])
    }

    /// What both sides of a comparison say, without the frame.
    private func conversation(_ bench: Bench) throws -> (asked: [UInt8], answered: [UInt8]) {
        let (questions, answers) = (BytePipe(), BytePipe())
        let (asked, answered) = (Recorded(questions), Recorded(answers))
        try withThreads(2) { number in
            if number == 0 {
                defer { questions.finish() }
                _ = try TreeComparison.run(local: ComparedTree(bench.local), key: Self.key, request: asked, response: answers)
            } else {
                defer { answers.finish() }
                try ComparisonServer.serve(request: questions, tree: ComparedTree(bench.next), response: answered)
            }
        }
        return (try unframed(asked.bytes), try unframed(answered.bytes))
    }

    private func inside(_ body: (MemoryStream) throws -> Void) throws -> [UInt8] {
        let wire = MemoryStream()
        try body(wire)
        return try unframed(wire.bytes)
    }

    private func unframed(_ bytes: [UInt8]) throws -> [UInt8] { try BlockSource(MemoryStream(bytes)).rest(upTo: 1 << 24) }
}

/// Nothing is kept; more than a limit is an error.
private final class Discarded: ByteSink {
    private var left: Int
    init(limit: Int = .max) { left = limit }
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        left -= bytes.count
        if left < 0 { throw TreeSyncError.badStream("too long") }
    }
}

/// Passes on what it records.
private final class Recorded: ByteSink, Sendable {
    private let recorded = Mutex<[UInt8]>([])
    private let sink: BytePipe
    init(_ sink: BytePipe) { self.sink = sink }
    var bytes: [UInt8] { recorded.withLock { $0 } }
    func write(_ part: UnsafeRawBufferPointer) throws {
        recorded.withLock { $0 += part }
        try sink.write(part)
    }
}
