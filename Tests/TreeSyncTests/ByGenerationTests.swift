import Digests
import Glibc
import Testing

@testable import TreeSync

/// What lets a holder answer "what has changed since" without comparing trees or searching files.
struct ByGenerationTests {
    private func bytes(_ count: Int, _ random: inout Seeded) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    /// The new file of the old one's runs and the pieces between them.
    private func assembled(_ old: [UInt8], _ new: [UInt8], _ runs: [ContentRun]) -> [UInt8] {
        var made = new.map { _ in UInt8(0) }
        for run in runs {
            for index in 0..<Int(run.length) { made[Int(run.position) + index] = old[Int(run.source) + index] }
        }
        for gap in ContentRun.gaps(between: runs, size: UInt64(new.count)) {
            for index in Int(gap.position)..<Int(gap.end) { made[index] = new[index] }
        }
        return made
    }

    private func runs(_ old: [UInt8], _ new: [UInt8]) -> [ContentRun]? {
        old.withUnsafeBytes { old in new.withUnsafeBytes { ContentMatch.runs(old: old, new: $0) } }
    }

    private func sent(_ runs: [ContentRun], _ size: Int) -> Int {
        ContentRun.gaps(between: runs, size: UInt64(size)).reduce(0) { $0 + Int($1.length) }
    }

    /// Edits of one to a hundred bytes: written over, put in, or taken out.
    private func edited(_ old: [UInt8], times: Int, _ random: inout Seeded) -> [UInt8] {
        var new = old
        for _ in 0..<times where !new.isEmpty {
            let place = Int.random(in: 0..<new.count, using: &random)
            let length = Int.random(in: 1...100, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: new.insert(contentsOf: bytes(length, &random), at: place)
            case 1: new.removeSubrange(place..<min(new.count, place + length))
            default: new.replaceSubrange(place..<min(new.count, place + length), with: bytes(length, &random))
            }
        }
        return new
    }

    @Test(arguments: 0..<40 as Range<UInt64>) func `a changed file is its old parts and the new ones, over several versions too`(
        seed: UInt64
    ) throws {
        var random = Seeded(seed)
        let first = bytes(Int.random(in: 1000...40_000, using: &random), &random)
        let second = edited(first, times: Int.random(in: 0...8, using: &random), &random)
        let third = edited(second, times: Int.random(in: 0...8, using: &random), &random)
        guard let one = runs(first, second), let two = runs(second, third) else { return }
        #expect(assembled(first, second, one) == second)
        #expect(sent(one, second.count) <= 8 * 260 + second.count / 16, "an edit costs its bytes and a block at the most")
        let both = ContentRun.composing(one, two)
        #expect(assembled(first, third, both) == third)
        for (run, next) in zip(both, both.dropFirst()) { #expect(run.position + run.length <= next.position) }
    }

    @Test func `bytes that were written over cost no more than themselves`() throws {
        var random = Seeded(7)
        let old = bytes(250_000, &random)
        var new = old
        for index in 0..<40 { new.replaceSubrange(index * 6000..<index * 6000 + 50, with: bytes(50, &random)) }
        let found = try #require(runs(old, new))
        #expect(sent(found, new.count) <= 40 * 64)
        #expect(runs(old, bytes(250_000, &random)) == nil, "what is unrelated has nothing in common")
    }

    @Test(arguments: 0..<60 as Range<UInt64>) func `changes survive their binary form, and several are one`(seed: UInt64) throws {
        var random = Seeded(seed)
        let (first, second, third) = try history(&random)
        let one = change(from: first, to: second, &random)
        let two = change(from: second, to: third, &random)
        #expect(try GenerationChange(decoding: one.encoded()) == one)
        let both = one.followed(by: two)
        #expect(try GenerationChange(decoding: both.encoded()) == both)
        #expect(try first.manifest.applying(both.delta) == third.manifest)
        for basis in both.bases {
            // Whoever follows it finds the old file where it says.
            #expect(first.entries[basis.path]?.file != nil)
        }
    }

    @Test(arguments: 0..<100 as Range<UInt64>) func `many changes are the same one in whatever order they are joined`(seed: UInt64) throws {
        var random = Seeded(seed)
        var trees = [ModelTree(random: &random)]
        for _ in 0..<Int.random(in: 1...70, using: &random) {
            var next = trees[trees.count - 1]
            next.mutate(&random, times: Int.random(in: 0...6, using: &random))
            trees.append(next)
        }
        var fold = ChangeFold()
        var oneByOne = GenerationChange()
        for (index, pair) in zip(trees, trees.dropFirst()).enumerated() {
            let next = change(from: pair.0, to: pair.1, &random)
            fold.add(next)
            oneByOne = index == 0 ? next : oneByOne.followed(by: next)
        }
        let joined = fold.finish()
        let whole = try #require(joined)
        #expect(whole == oneByOne)
        #expect(try trees[0].manifest.applying(whole.delta) == trees[trees.count - 1].manifest)
        let rest = fold.finish()
        #expect(rest == nil)
    }

    private func history(_ random: inout Seeded) throws -> (ModelTree, ModelTree, ModelTree) {
        let first = ModelTree(random: &random)
        var second = first
        second.mutate(&random, times: 6)
        var third = second
        third.mutate(&random, times: 6)
        return (first, second, third)
    }

    /// As an agent would make it that has both.
    private func change(from old: ModelTree, to new: ModelTree, _ random: inout Seeded) -> GenerationChange {
        guard let before = try? old.manifest, let after = try? new.manifest else { return GenerationChange() }
        let delta = before.delta(to: after)
        var bases: [FileBasis] = []
        for (index, entry) in delta.puts.enumerated() {
            guard let size = entry.file?.size, size > 0, let there = before[entry.path]?.file, there.size > 0 else { continue }
            if there.digest == entry.file?.digest {
                bases.append(FileBasis(put: index, path: entry.path, relation: .same))
            } else if size == there.size || Bool.random(using: &random) {
                bases.append(FileBasis(put: index, path: entry.path, relation: .runs([ContentRun(position: 0, length: 1, source: 0)])))
            } else {
                bases.append(FileBasis(put: index, path: entry.path, relation: .unknown))
            }
        }
        return GenerationChange(delta: delta, bases: bases)
    }

    @Test func `a journal entry that is damaged or lies about its runs is refused`() throws {
        let root = TreeEntry(path: [], mode: 0o755, uid: 0, gid: 0, modified: 0, content: .directory)
        let file = TreeEntry(
            path: Array("f".utf8), mode: 0o644, uid: 0, gid: 0, modified: 0, content: .file(FileContent(size: 100, digest: Digest.of("x"))))
        let delta = try DeltaManifest(puts: [root, file], deletions: [])
        func refused(_ runs: [ContentRun], path: String = "f", put: Int = 1) {
            let basis = FileBasis(put: put, path: Array(path.utf8), relation: .runs(runs))
            #expect(throws: TreeSyncError.self) {
                try GenerationChange(decoding: GenerationChange(delta: delta, bases: [basis]).encoded())
            }
        }
        refused([ContentRun(position: 0, length: 101, source: 0)])
        refused([ContentRun(position: 50, length: 51, source: 0)])
        refused([ContentRun(position: 0, length: 0, source: 0)])
        refused([ContentRun(position: 0, length: 100, source: UInt64(Int64.max) - 10)])
        // Of no file that a volume has: composed with others it would be served in numbers that can't be told.
        refused([ContentRun(position: 0, length: 100, source: FileContent.sizeLimit - 99)])
        refused([
            ContentRun(position: 0, length: 1, source: UInt64(Int64.max) - 2), ContentRun(position: 1, length: 1, source: 1 << 62),
            ContentRun(position: 99, length: 1, source: 0),
        ])
        refused([ContentRun(position: 0, length: 10, source: 0)], path: "../f")
        refused([ContentRun(position: 0, length: 10, source: 0)], put: 0)
        let good = GenerationChange(
            delta: delta,
            bases: [FileBasis(put: 1, path: Array("old".utf8), relation: .runs([ContentRun(position: 9, length: 91, source: 0)]))])
        let encoded = good.encoded()
        #expect(try GenerationChange(decoding: encoded) == good)
        for index in encoded.indices {
            var damaged = encoded
            damaged[index] ^= 1
            #expect(throws: TreeSyncError.self) { try GenerationChange(decoding: damaged) }
        }
    }

    /// A change of one file of that size.
    private func change(size: UInt64, _ relation: FileBasis.Relation, digest: String = "x") throws -> GenerationChange {
        let root = TreeEntry(path: [], mode: 0o755, uid: 0, gid: 0, modified: 0, content: .directory)
        let file = TreeEntry(
            path: Array("f".utf8), mode: 0o644, uid: 0, gid: 0, modified: 0,
            content: .file(FileContent(size: size, digest: Digest.of(digest))))
        return GenerationChange(
            delta: try DeltaManifest(puts: [root, file], deletions: []),
            bases: [FileBasis(put: 1, path: file.path, relation: relation)])
    }

    @Test func `changes whose makers lied are one that others take all the same`() throws {
        // A content that is the same and shorter.
        let whole = try change(size: 100, .runs([0, 60].map { ContentRun(position: $0, length: 40, source: $0) }))
        let cut = try whole.followed(by: change(size: 80, .same))
        #expect(try GenerationChange(decoding: cut.encoded()) == cut)
        #expect(cut.bases.count == 1)
        // Runs that come to more than anybody takes.
        let limit = UInt64(GenerationChange.runLimit)
        let first = try change(size: limit * 2, .runs((0..<limit).map { ContentRun(position: $0 * 2, length: 1, source: $0 * 2) }))
        let twice = [0, 1].map { ContentRun(position: $0 * limit * 2, length: limit * 2, source: 0) }
        let many = try first.followed(by: change(size: limit * 4, .runs(twice)))
        #expect(try GenerationChange(decoding: many.encoded()) == many)
    }

    private func withFile<T>(_ bytes: [UInt8], _ body: (String) throws -> T) throws -> T {
        let path = "/tmp/farm-table-\(getpid())-\(UInt64.random(in: .min ... .max))"
        defer { unlink(path) }
        let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        #expect(bytes.withUnsafeBytes { write(file.number, $0.baseAddress, $0.count) } == bytes.count)
        return try body(path)
    }

    @Test(arguments: 0..<60 as Range<UInt64>) func `single names of a stack of deltas are what the whole of it says`(seed: UInt64) throws {
        var random = Seeded(seed)
        var tree = ModelTree(random: &random)
        // Enough names for several blocks.
        tree.mutate(&random, times: 400)
        var manifest = try tree.manifest
        var tables = [try withFile(DeltaManifest(whole: manifest).encoded()) { try ManifestTable(file: $0) }]
        var asked = Set(manifest.entries.map(\.path))
        for _ in 0..<3 {
            tree.mutate(&random, times: 60)
            let next = try tree.manifest
            let delta = manifest.delta(to: next)
            if !delta.isEmpty { tables.append(try withFile(delta.encoded()) { try ManifestTable(file: $0) }) }
            manifest = next
            asked.formUnion(manifest.entries.map(\.path))
        }
        let index = GenerationIndex(tables)
        for path in asked {
            #expect(try index.entry(path) == manifest[path])
            if manifest[path]?.isDirectory ?? true { #expect(try index.inside(path) == manifest.inside(path) as [TreeEntry]) }
            #expect(try index.entry(path + Array("/no".utf8)) == nil)
        }
        // In tree order, as steps' changes are indexed, nothing is searched but passed over.
        let inOrder = GenerationIndex(tables)
        for path in asked.sorted(by: TreePaths.precedes) {
            #expect(try inOrder.entry(path) == manifest[path])
            #expect(try inOrder.entry(path + Array("-no".utf8)) == nil)
        }
        let totals = try VolumeTotals(of: manifest).applying(manifest.delta(to: VolumeManifest()), upon: index)
        #expect(totals == VolumeTotals(bytes: 0, files: 0))
    }

    /// A generation, and the tables of a stack of deltas that give it. Of some, what is hidden anyway is not named.
    private func stack(_ random: inout Seeded, shortened: Bool) throws -> (VolumeManifest, [ManifestTable]) {
        var tree = ModelTree(random: &random)
        tree.mutate(&random, times: 300)
        var manifest = try tree.manifest
        var tables = [try withFile(DeltaManifest(whole: manifest).encoded()) { try ManifestTable(file: $0) }]
        for times in [200, 50, 3, 50] {
            tree.mutate(&random, times: times)
            let next = try tree.manifest
            var delta = manifest.delta(to: next)
            if shortened {
                let hiding = delta.deletions + delta.puts.filter { !$0.isDirectory }.map(\.path)
                delta.deletions.removeAll { path in hiding.contains { TreePaths.isBelow(path, $0) } }
                #expect(manifest.applying(delta) == next)
            }
            if !delta.isEmpty { tables.append(try withFile(delta.encoded()) { try ManifestTable(file: $0) }) }
            manifest = next
        }
        return (manifest, tables)
    }

    @Test(arguments: 0..<100 as Range<UInt64>) func `going through a stack of deltas gives the whole of it`(seed: UInt64) throws {
        var random = Seeded(seed)
        let (manifest, tables) = try stack(&random, shortened: seed % 2 == 0)
        #expect(try VolumeManifest(reading: GenerationCursor(tables)) == manifest)
        for tables in [tables, Array(tables[..<1])] {
            let manifest = try VolumeManifest(reading: GenerationCursor(tables))
            let whole = MemoryStream()
            try ManifestStream.write(manifestOf: tables, to: whole)
            #expect(whole.bytes == manifest.encoded())
            let delta = MemoryStream()
            try ManifestStream.write(deltaOf: tables, count: manifest.entries.count, to: delta)
            #expect(delta.bytes == DeltaManifest(whole: manifest).encoded())
        }
        let index = GenerationIndex(tables)
        for entry in manifest.entries.shuffled(using: &random) where entry.isDirectory {
            var here: [TreeEntry] = []
            var there: [TreeEntry] = []
            try manifest.eachChild(of: entry.path) { here.append($0) }
            try index.eachChild(of: entry.path) { there.append($0) }
            #expect(here == there)
            #expect(try index.inside(entry.path) == manifest.inside(entry.path) as [TreeEntry])
        }
    }

    @Test(arguments: 0..<30 as Range<UInt64>) func `digests and contents are found in tables as in what they decode to`(seed: UInt64) throws
    {
        var random = Seeded(seed)
        let (manifest, tables) = try stack(&random, shortened: seed % 2 == 0)
        #expect(try DirectoryDigests(reading: GenerationCursor(tables)) == DirectoryDigests(of: manifest))
        let before = try VolumeManifest(reading: GenerationCursor(Array(tables[..<1])))
        let delta = before.delta(to: manifest)
        #expect(try DirectoryDigests(of: before).applying(delta, giving: GenerationIndex(tables)) == DirectoryDigests(of: manifest))
        let table = try withFile(delta.encoded()) { try ManifestTable(file: $0) }
        #expect(try DigestIndex(of: table) == DigestIndex(of: delta))
    }

    @Test func `a deletion and a file hide what is below them although nobody says so`() throws {
        func entry(_ path: String, _ content: TreeEntry.Content = .directory) -> TreeEntry {
            TreeEntry(path: Array(path.utf8), mode: 0o755, uid: 0, gid: 0, modified: 0, content: content)
        }
        let old = try DeltaManifest(
            puts: [entry(""), entry("a"), entry("a/b"), entry("a/b/c", .fifo), entry("d"), entry("d/e", .fifo), entry("f", .fifo)],
            deletions: [])
        let new = try DeltaManifest(puts: [entry(""), entry("d", .fifo)], deletions: [Array("a".utf8)])
        let index = GenerationIndex([
            try withFile(old.encoded()) { try ManifestTable(file: $0) }, try withFile(new.encoded()) { try ManifestTable(file: $0) },
        ])
        for path in ["a", "a/b", "a/b/c", "d/e"] { #expect(try index.entry(Array(path.utf8)) == nil) }
        #expect(try index.entry(Array("d".utf8))?.content == .fifo)
        #expect(try index.entry(Array("f".utf8)) != nil)
        #expect(try index.inside([]).map { TreePaths.text($0.path) } == ["d", "f"])
        #expect(try index.inside(Array("a".utf8)).isEmpty)
    }

    /// As a disk does that can't give a part of it any more.
    @Test func `a manifest that ends under who reads it is an error`() throws {
        func entry(_ path: String, _ content: TreeEntry.Content = .directory) -> TreeEntry {
            TreeEntry(path: Array(path.utf8), mode: 0o755, uid: 0, gid: 0, modified: 0, content: content)
        }
        // Several pages.
        let names = (10_000..<12_000).map { "f\($0)" }
        let delta = try DeltaManifest(puts: [entry("")] + names.map { entry($0, .fifo) }, deletions: [])
        try withFile(delta.encoded()) { path in
            let table = try ManifestTable(file: path)
            try #require(truncate(path, 4096) == 0)
            let index = GenerationIndex([table])
            #expect(throws: TreeSyncError.self) { try index.entry(Array("f11990".utf8)) }
            #expect(throws: TreeSyncError.self) { try VolumeManifest(reading: GenerationCursor([table])) }
            #expect(throws: TreeSyncError.self) { try ManifestStream.write(manifestOf: [table], to: MemoryStream()) }
            #expect(throws: TreeSyncError.self) { try DigestIndex(of: table) }
            #expect(throws: TreeSyncError.self) { try DeltaPuts.table(table).reader().entry(1900) }
            #expect(throws: TreeSyncError.self) { try ManifestTable(file: path) }
            // What can be read still is.
            #expect(try index.entry(Array("f10000".utf8)) != nil)
        }
    }

    @Test func `a damaged manifest on disk is no table`() throws {
        var bytes = DeltaManifest(whole: VolumeManifest()).encoded()
        bytes[5] ^= 1
        #expect(throws: TreeSyncError.self) { try withFile(bytes) { try ManifestTable(file: $0) } }
        #expect(throws: TreeSyncError.self) { try withFile([]) { try ManifestTable(file: $0) } }
    }
}
