import Digests
import Testing

@testable import TreeSync

struct ManifestTests {
    @Test func `tree order puts a directory's content right behind it`() {
        let paths = ["", "a", "a/b", "a/b/c", "a/c", "a-b", "a.c", "aa", "b"].map { Array($0.utf8) }
        #expect(paths.shuffled().sorted(by: TreePaths.precedes) == paths)
    }

    @Test(arguments: 0..<60 as Range<UInt64>) func `manifests survive their binary form`(seed: UInt64) throws {
        var random = Seeded(seed)
        var tree = ModelTree(random: &random)
        let manifest = try tree.manifest
        #expect(try VolumeManifest(decoding: manifest.encoded()) == manifest)
        tree.mutate(&random, times: 10)
        let delta = manifest.delta(to: try tree.manifest)
        #expect(try DeltaManifest(decoding: delta.encoded()) == delta)
        #expect(try VolumeManifest(decoding: VolumeManifest().encoded()) == VolumeManifest())
    }

    @Test(arguments: 0..<300 as Range<UInt64>) func `deltas lead from one generation to the next, one by one and together`(seed: UInt64)
        throws
    {
        var random = Seeded(seed)
        var tree = ModelTree(random: &random)
        var generations = [try tree.manifest]
        var deltas: [DeltaManifest] = []
        for _ in 0..<4 {
            tree.mutate(&random, times: Int.random(in: 0..<8, using: &random))
            let next = try tree.manifest
            let delta = try #require(generations.last).delta(to: next)
            // Checked by its own rules, as a peer's would be.
            _ = try DeltaManifest(puts: delta.puts, deletions: delta.deletions)
            #expect(generations.last?.applying(delta) == next)
            generations.append(next)
            deltas.append(delta)
        }
        for from in 0..<4 {
            var together = DeltaManifest()
            for to in from..<4 {
                together = together.followed(by: deltas[to])
                _ = try DeltaManifest(puts: together.puts, deletions: together.deletions)
                #expect(generations[from].applying(together) == generations[to + 1])
            }
        }
        #expect(try tree.manifest.delta(to: tree.manifest).isEmpty)
    }

    @Test(arguments: 0..<300 as Range<UInt64>) func `a rebased delta keeps what both sides added`(seed: UInt64) throws {
        var random = Seeded(seed)
        let old = ModelTree(random: &random)
        var ours = old
        var theirs = old
        ours.mutate(&random, times: 6)
        theirs.mutate(&random, times: 6)
        let base = try old.manifest
        let head = try theirs.manifest
        let delta = base.delta(to: try ours.manifest)
        let rebased = try delta.rebased(from: base, onto: head)
        _ = try DeltaManifest(puts: rebased.puts, deletions: rebased.deletions)
        let result = head.applying(rebased)
        _ = try VolumeManifest(entries: result.entries)
        // Everything of ours is there as we left it.
        for entry in delta.puts { #expect(result[entry.path] == entry) }
        // Everything they added or changed is there, unless we put something in its place.
        for entry in head.entries where base[entry.path] != entry {
            var above: TreePath? = entry.path
            var replaced = false
            while let path = above {
                if let own = delta.puts.first(where: { $0.path == path }), path == entry.path || !own.isDirectory { replaced = true }
                above = TreePaths.parent(of: path)
            }
            // But for a directory that we removed and that they left as empty.
            if entry.isDirectory, base[entry.path]?.isDirectory == true, delta.deletions.contains(entry.path) { continue }
            if !replaced { #expect(result[entry.path] == entry) }
        }
        // What we deleted and they left alone is gone.
        for path in delta.deletions where head[path] == base[path] && head[path]?.isDirectory == false { #expect(result[path] == nil) }
    }

    @Test func `bytes that are no manifest are refused`() throws {
        var random = Seeded(7)
        var tree = ModelTree(random: &random)
        tree.mutate(&random, times: 40)
        let good = try tree.manifest.encoded()
        for count in 0..<good.count { #expect(throws: TreeSyncError.self) { try VolumeManifest(decoding: Array(good.prefix(count))) } }
        for _ in 0..<5000 {
            var bytes = Array(good.dropLast(Digest.byteCount))
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                bytes[index] = UInt8(truncatingIfNeeded: random.next())
            }
            // With a digest that fits: only the decoder is between the bytes and us.
            bytes += Digest.of(bytes).bytes
            guard let manifest = try? VolumeManifest(decoding: bytes) else { continue }
            // What gets through is a tree, and its only form.
            #expect(manifest.encoded() == bytes)
        }
    }

    @Test(arguments: ["..", "a/..", "../a", "/a", "a//b", "a/", ".", "a/./b", "a\0b"]) func `a bad path is refused`(path: String) {
        let root = TreeEntry(path: [], mode: 0o755, uid: 0, gid: 0, modified: 0, content: .directory)
        var directory = root
        directory.path = Array("a".utf8)
        var bad = root
        bad.path = Array(path.utf8)
        #expect(throws: TreeSyncError.self) { try VolumeManifest(entries: [root, directory, bad]) }
        #expect(throws: TreeSyncError.self) { try VolumeManifest(entries: [root, bad]) }
        #expect(throws: TreeSyncError.self) { try DeltaManifest(puts: [root], deletions: [bad.path]) }
    }

    @Test func `names that are too long, out of order, twice there or in no directory are refused`() throws {
        func entry(_ path: String, _ content: TreeEntry.Content = .directory) -> TreeEntry {
            TreeEntry(path: Array(path.utf8), mode: 0o755, uid: 0, gid: 0, modified: 0, content: content)
        }
        let link = entry("l", .symlink(target: Array("/etc".utf8)))
        let bad: [[TreeEntry]] = [
            [entry(""), entry("b"), entry("a")], [entry(""), entry("a"), entry("a")], [entry(""), entry("a/b")], [entry("a")],
            [entry(""), link, entry("l/passwd", .fifo)], [entry("", .fifo)], [entry(""), entry(String(repeating: "n", count: 256))],
            [entry(""), entry("s", .symlink(target: []))],
            [entry(""), entry("s", .file(FileContent(size: 1 << 63, digest: .of(""))))],
        ]
        for entries in bad { #expect(throws: TreeSyncError.self) { try VolumeManifest(entries: entries) } }
        #expect(throws: TreeSyncError.self) { try DeltaManifest(puts: [entry("")], deletions: [Array("a/b".utf8)]) }
        #expect(throws: TreeSyncError.self) { try DeltaManifest(puts: [entry(""), entry("a")], deletions: [Array("a".utf8)]) }
        #expect(throws: TreeSyncError.self) { try DeltaManifest(puts: [entry("")], deletions: [[]]) }
        var overlay = entry("o")
        overlay.attributes = [TreeEntry.Attribute(name: Array("trusted.overlay.redirect".utf8), value: Array("/".utf8))]
        #expect(throws: TreeSyncError.self) { try VolumeManifest(entries: [entry(""), overlay]) }
        // Hard links of one group with different owners.
        var one = entry("x", .file(FileContent(size: 1, digest: .of("x"), linkGroup: 5)))
        var two = one
        two.path = Array("y".utf8)
        _ = try VolumeManifest(entries: [entry(""), one, two])
        one.uid = 4
        two.uid = 5
        #expect(throws: TreeSyncError.self) { try VolumeManifest(entries: [entry(""), one, two]) }
    }

    @Test func `a count larger than the bytes that follow takes no memory`() throws {
        var bytes = Array("FVM1".utf8) + [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
        bytes += Digest.of(bytes).bytes
        #expect(throws: TreeSyncError.self) { try VolumeManifest(decoding: bytes) }
    }
}
