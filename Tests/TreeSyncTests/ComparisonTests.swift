import BlockingIO
import Digests
import Testing

@testable import TreeSync

struct ComparisonTests {
    private static let key = (0..<16).map { UInt8($0) }

    /// Both sides, on two threads of their own, over two pipes of the usual size.
    private func compare(
        _ local: ComparedTree, with holder: ComparedTree
    ) async throws -> (outcome: TreeComparison.Outcome, asked: [UInt8], answered: [UInt8]) {
        try await BlockingPool.shared.run {
            let request = BytePipe()
            let response = BytePipe()
            let asked = CountingTap(request)
            let answered = CountingTap(response)
            let outcome = Monitor<Result<TreeComparison.Outcome, any Error>?>(nil)
            try withThreads(2) { thread in
                if thread == 0 {
                    let result = Result {
                        try TreeComparison.run(local: local, key: Self.key, request: asked, response: response)
                    }
                    request.finish()
                    outcome.withLock { $0 = result }
                } else {
                    defer { response.finish() }
                    try ComparisonServer.serve(request: request, tree: holder, response: answered)
                }
            }
            return (try #require(outcome.withLock { $0 }).get(), asked.bytes, answered.bytes)
        }
    }

    @Test func `fingerprints are SipHash-2-4's`() {
        // The paper's own vector: 00 … 0e under the key 00 … 0f.
        let hash = (0..<15).map { UInt8($0) }.withUnsafeBytes { Fingerprint(key: Self.key).hash($0) }
        #expect(hash == 0xa129_ca61_49be_45e5)
    }

    @Test(arguments: 0..<200 as Range<UInt64>) func `directory digests follow deltas, and differ where trees do`(seed: UInt64) throws {
        var random = Seeded(seed)
        var tree = ModelTree(random: &random)
        var manifest = try tree.manifest
        var digests = DirectoryDigests(of: manifest)
        for _ in 0..<5 {
            tree.mutate(&random, times: Int.random(in: 0..<6, using: &random))
            let next = try tree.manifest
            let delta = manifest.delta(to: next)
            digests = try digests.applying(delta, giving: next)
            #expect(digests == DirectoryDigests(of: next))
            #expect(try ComparedTree(manifest).applying(delta) == ComparedTree(next))
            #expect((digests.treeDigest(of: next) == DirectoryDigests(of: manifest).treeDigest(of: manifest)) == (next == manifest))
            manifest = next
        }
    }

    @Test(arguments: 0..<300 as Range<UInt64>) func `a comparison finds exactly the difference of two trees`(seed: UInt64) async throws {
        var random = Seeded(seed)
        let one = ModelTree(random: &random)
        var other = one
        if seed % 4 == 0 { other = ModelTree(random: &random) } else { other.mutate(&random, times: Int.random(in: 0..<9, using: &random)) }
        let local = ComparedTree(try one.manifest)
        let holder = ComparedTree(try other.manifest)
        let (outcome, _, _) = try await compare(local, with: holder)
        #expect(outcome.tree == holder)
        #expect(local.manifest.applying(outcome.delta) == holder.manifest)
        _ = try DeltaManifest(puts: outcome.delta.puts, deletions: outcome.delta.deletions)
        if local != holder { #expect(outcome.delta == local.manifest.delta(to: holder.manifest)) }
    }

    /// Directories of a hundred files, three levels deep.
    private func wide(directories: Int, changed: Set<Int> = [], under prefix: String = "top") throws -> ComparedTree {
        var entries = [entry("", .directory), entry(prefix, .directory)]
        for directory in 0..<directories {
            let name = "\(prefix)/d\(directory)"
            entries.append(entry(name, .directory))
            for file in 0..<100 {
                let text = changed.contains(directory * 100 + file) ? "changed \(directory) \(file)" : "\(directory) \(file)"
                entries.append(entry("\(name)/f\(file)", .file(FileContent(size: 5, digest: Digest.of(text)))))
            }
        }
        return ComparedTree(try VolumeManifest(entries: entries.sorted { TreePaths.precedes($0.path, $1.path) }))
    }

    private func entry(_ path: String, _ content: TreeEntry.Content) -> TreeEntry {
        TreeEntry(path: Array(path.utf8), mode: 0o644, uid: 0, gid: 0, modified: 7, content: content)
    }

    @Test func `what is the same is not told, and a directory that moved is not told again`() async throws {
        let old = try wide(directories: 300)
        let whole = Int64(old.manifest.encoded().count)
        let (same, _, _) = try await compare(old, with: old)
        #expect(same.delta.isEmpty)
        #expect(same.received < 20)
        let (few, asked, _) = try await compare(old, with: try wide(directories: 300, changed: [5, 20_000]))
        #expect(few.delta.puts.count == 6, "two files in two directories, and what is above")
        #expect(few.received < whole / 100)
        #expect(asked.count < 5000, "the root, its only directory's 300, and two hundred files")
        let (moved, _, _) = try await compare(old, with: try wide(directories: 300, under: "elsewhere"))
        #expect(moved.tree == (try wide(directories: 300, under: "elsewhere")))
        #expect(moved.received < 200, "one new name with a digest that is known")
    }

    @Test func `trees that share nothing are compared without either side waiting for the other for ever`() async throws {
        let old = try wide(directories: 800)
        let new = try wide(directories: 800, changed: Set(0..<80_000))
        let (outcome, _, _) = try await compare(old, with: new)
        #expect(outcome.tree == new)
    }

    @Test func `a holder that does not tell the truth is found out`() async throws {
        let old = try wide(directories: 3)
        let new = try wide(directories: 3, changed: [1])
        // Its digests are of another tree than its names.
        let liar = ComparedTree(manifest: try wide(directories: 3, changed: [1, 2]).manifest, digests: new.digests)
        await #expect(throws: TreeSyncError.self) { try await compare(old, with: liar) }
    }

    @Test(arguments: 0..<400 as Range<UInt64>) func `damaged streams are refused, never believed`(seed: UInt64) async throws {
        var random = Seeded(seed)
        let old = try wide(directories: 3)
        let new = try wide(directories: 4, changed: [1, 77])
        // An honest comparison, recorded.
        let (recorded, asked, answered) = try await compare(old, with: new)
        #expect(recorded.tree == new)
        for (bytes, isRequest) in [(asked, true), (answered, false)] {
            var bytes = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                if Bool.random(using: &random) {
                    bytes[place] ^= UInt8.random(in: 1...255, using: &random)
                } else {
                    bytes.removeSubrange(place...)
                }
            }
            do {
                if isRequest {
                    try ComparisonServer.serve(request: MemoryStream(bytes), tree: new, response: MemoryStream())
                } else {
                    let outcome = try TreeComparison.run(
                        local: old, key: Self.key, request: MemoryStream(), response: MemoryStream(bytes))
                    #expect(outcome.tree == new || outcome.delta.isEmpty)
                }
            } catch is TreeSyncError {}
        }
    }
}

/// Passes bytes on and keeps them.
private final class CountingTap: ByteSink, Sendable {
    private let sink: BytePipe
    private let kept = Monitor<[UInt8]>([])
    var bytes: [UInt8] { kept.withLock { $0 } }

    init(_ sink: BytePipe) { self.sink = sink }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        kept.withLock { $0 += bytes }
        try sink.write(bytes)
    }
}
