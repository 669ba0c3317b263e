import Digests
import Glibc
import Testing

@testable import TreeSync

/// A whole generation that is never decoded as a whole.
struct RecordTests {
    private func withRecord(_ manifest: VolumeManifest, _ body: (ManifestTable) throws -> Void) throws {
        let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let path = "\(temporary)/farm-record-\(getpid())-\(UInt64.random(in: .min ... .max))"
        defer { unlink(path) }
        let wire = MemoryStream()
        try ChangesAnswer.whole(generation: 3, manifest).write(to: wire)
        let length = wire.bytes.count
        let (answer, received) = try ChangesAnswer.read(from: wire, recordingWhole: { path })
        #expect(received == length)
        guard case .recorded(generation: 3, let table) = answer else {
            Issue.record("\(answer)")
            return
        }
        try body(table)
    }

    private func tree(_ seed: UInt64) throws -> VolumeManifest {
        var random = Seeded(seed)
        var tree = ModelTree(random: &random)
        tree.mutate(&random, times: 600)
        return try tree.manifest
    }

    @Test(arguments: 0..<40 as Range<UInt64>) func `a recorded generation gives the same names and the same plan`(seed: UInt64) throws {
        let manifest = try tree(seed)
        try withRecord(manifest) { table in
            #expect(table.putCount == manifest.entries.count)
            #expect(table.contentBytes == manifest.contentBytes)
            let reader = DeltaPuts.table(table).reader()
            // Forward, and then anywhere.
            let places = Array(manifest.entries.indices) + manifest.entries.indices.reversed().filter { $0 % 7 == 0 }
            for place in places {
                let entry = try reader.entry(place)
                #expect(entry == manifest.entries[place])
                #expect(try reader.content(at: reader.place(place)) == entry.file)
            }
            let plan = try FetchPlan(.table(table), deletions: [], local: VolumeManifest())
            let decoded = try FetchPlan(.list(manifest.entries), deletions: [], local: VolumeManifest())
            #expect(plan.wants.map(\.put) == decoded.wants.map(\.put))
            #expect(plan.repeats == decoded.repeats)
            #expect(plan.empty == decoded.empty)
            #expect(plan.others == decoded.others)
            #expect(plan.copiedBytes == decoded.copiedBytes)
            // Each file is in just one of them, and the content of a repeated one is that of its first.
            let files = (plan.wants.map(\.put) + plan.repeats.map(\.put) + plan.empty).sorted()
            #expect(files == manifest.entries.indices.filter { manifest.entries[$0].file != nil })
            for item in plan.repeats {
                #expect(manifest.entries[item.put].file?.digest == manifest.entries[item.first].file?.digest)
            }
            #expect(Set(plan.wants.map { manifest.entries[$0.put].file?.digest }).count == plan.wants.count)
        }
    }

    @Test func `hard links that differ, whichever block they are in, are refused`() throws {
        func entry(_ path: String, _ content: TreeEntry.Content = .directory, mode: UInt16 = 0o644) -> TreeEntry {
            TreeEntry(path: Array(path.utf8), mode: mode, uid: 0, gid: 0, modified: 0, content: content)
        }
        func tree(_ lastMode: UInt16) -> VolumeManifest {
            let linked = TreeEntry.Content.file(FileContent(size: 1, digest: .of("a"), linkGroup: 7))
            let others = (100..<300).map { entry("d\($0)") }
            return VolumeManifest(unchecked: [entry(""), entry("a", linked)] + others + [entry("z", linked, mode: lastMode)])
        }
        try withRecord(tree(0o644)) { #expect($0.putCount == 203) }
        #expect(throws: TreeSyncError.badManifest("'z' differs from its other hard links")) { try withRecord(tree(0o600)) { _ in } }
    }

    @Test func `a slot's part of the hash is no proof`() throws {
        // So few slots that neighbours are met all the time, and contents that nobody has.
        var table = DigestTable(count: 20_000)
        let digests = (0..<20_000).map { Digest.of("\($0)") }
        func content(_ place: Int) -> FileContent? { FileContent(size: 1, digest: digests[place]) }
        for put in 0..<20_000 { #expect(table.take(digests[put], put, at: put, content: content) == nil) }
        for put in 0..<20_000 {
            #expect(table.take(digests[put], 0, at: 0, content: content) == put)
            #expect(table.put(digests[put], content: content) == put)
            #expect(table.put(Digest.of("other \(put)"), content: content) == nil)
        }
    }
}
