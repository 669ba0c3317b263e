import BlockingIO
import BuildPlan
import Digests
import FileTree
import Glibc
import Layers
import OCI
import Testing

@Suite(.enabled(if: geteuid() == 0, "needs root"))
struct `A layer store` {
    private let temporary: TemporaryDirectory
    private let store: LayerStore

    init() throws {
        temporary = try TemporaryDirectory()
        store = try LayerStore(directory: temporary.path + "/store")
    }

    private func commit(_ content: String) throws -> LayerDescriptor {
        let staging = try store.newUpper()
        try write(content, to: staging.upper + "/file")
        return try store.commit(staging)
    }

    private func archive(of layer: LayerDescriptor) throws -> [UInt8] {
        let collector = ByteCollector()
        try store.write(diffID: layer.diffID, to: collector)
        return collector.bytes
    }

    @Test func `A committed layer is found, also after opening again`() throws {
        let layer = try commit("one")
        #expect(store.contains(layer.diffID))
        let name = try store.path(of: layer.diffID)
        #expect(try read("\(store.directory)/\(name)/file") == "one")
        let again = try LayerStore(directory: store.directory)
        #expect(again.all() == [layer])
        #expect(try again.path(of: layer.diffID) == name)
    }

    @Test func `The same content committed twice is one layer`() throws {
        let first = try commit("same")
        #expect(try commit("same").diffID == first.diffID)
        #expect(store.all() == [first])
        #expect(try names(in: store.directory + "/tmp") == [])
    }

    @Test func `A layer moves to another store by its archive`() throws {
        let layer = try commit("to be moved")
        let other = try LayerStore(directory: temporary.path + "/other")
        try other.receive(layer, from: ByteGiver(archive(of: layer)))
        #expect(other.all() == [layer])
        #expect(try names(in: other.directory) == ["1", "1.layer", "format", "tmp"])
        let again = ByteCollector()
        try other.write(diffID: layer.diffID, to: again)
        #expect(Digest.of(again.bytes) == layer.diffID)
    }

    @Test func `An archive of another tar program keeps its bytes`() throws {
        let bytes = try shellBytes(
            "mkdir -p \(temporary.path)/x/d && echo hello > \(temporary.path)/x/d/f && tar -C \(temporary.path)/x -c .")
        let layer = LayerDescriptor(diffID: Digest.of(bytes), size: Int64(bytes.count))
        try store.receive(layer, from: ByteGiver(bytes))
        #expect(try archive(of: layer) == bytes)
        let again = try LayerStore(directory: store.directory)
        let collector = ByteCollector()
        try again.write(diffID: layer.diffID, to: collector)
        #expect(collector.bytes == bytes)
        try again.remove(layer.diffID)
        #expect(try names(in: store.directory) == ["format", "tmp"])
    }

    @Test func `Bytes with another digest are refused and leave nothing`() throws {
        let layer = try commit("right")
        let bytes = try archive(of: layer)
        let other = try LayerStore(directory: temporary.path + "/other")
        var wrong = bytes
        wrong[wrong.count - 1] ^= 1
        #expect(throws: LayerStoreError.self) { try other.receive(layer, from: ByteGiver(wrong)) }
        #expect(throws: (any Error).self) { try other.receive(layer, from: ByteGiver(Array(bytes.prefix(600)))) }
        #expect(other.all() == [])
        #expect(try names(in: other.directory) == ["format", "tmp"])
        #expect(try names(in: other.directory + "/tmp") == [])
    }

    @Test func `A layer whose files were changed is not handed on as the old one`() throws {
        let layer = try commit("good")
        try write("evil", to: "\(store.directory)/\(store.path(of: layer.diffID))/file")
        #expect(throws: LayerStoreError.self) { try archive(of: layer) }
    }

    @Test func `What a crash left is removed when the store is opened`() throws {
        let layer = try commit("kept")
        let half = try store.newUpper()
        try write("half", to: half.upper + "/file")
        try shellBytes("cd \(store.directory) && mkdir zz && touch zz/f yy.layer yy.contents zz.contents")
        let again = try LayerStore(directory: store.directory)
        #expect(again.all() == [layer])
        #expect(try names(in: store.directory) == ["1", "1.layer", "format", "tmp"])
        #expect(try names(in: store.directory + "/tmp") == [])
    }

    @Test func `After a loss of power, damaged layers are dropped and synchronized ones are trusted`() throws {
        let damaged = try commit("damaged")
        let whole = try commit("whole")
        // As after another boot, with a file whose content did not reach the disk.
        try shellBytes("sed -i 's/Boot\":\"/Boot\":\"earlier-/' \(store.directory)/*.layer")
        try shellBytes("truncate -s 0 \(store.directory)/\(store.path(of: damaged.diffID))/file")
        let again = try LayerStore(directory: store.directory)
        #expect(again.all() == [whole])
        try again.synchronize()
        #expect(try !shellText("cat \(store.directory)/*.layer").contains("Boot"))
    }

    @Test func `Pinned layers stay, and the longest unused go first`() throws {
        let layers = try (1...4).map { try commit(String(repeating: "x", count: 1000 * $0)) }
        try store.pin([layers[0].diffID])
        try store.pin([layers[1].diffID])
        store.unpin([layers[1].diffID])
        #expect(throws: LayerStoreError.self) { try store.remove(layers[0].diffID) }
        // The third is now the one that was not used for the longest time.
        #expect(try store.collect(keeping: store.totalBytes - 1) == [layers[2].diffID])
        #expect(try Set(store.collect(keeping: 0)) == [layers[1].diffID, layers[3].diffID])
        store.unpin([layers[0].diffID])
        #expect(try store.collect(keeping: 0) == [layers[0].diffID])
        #expect(try names(in: store.directory) == ["format", "tmp"])
    }

    @Test func `Pinning is all or nothing`() throws {
        let layer = try commit("one")
        #expect(throws: LayerStoreError.self) { try store.pin([layer.diffID, Digest.of("missing")]) }
        try store.remove(layer.diffID)
    }

    @Test func `A new upper directory takes over the mode and owner of the root below`() throws {
        let staging = try store.newUpper()
        chmod(staging.upper, 0o1777)
        chown(staging.upper, 5, 6)
        let layer = try store.commit(staging)
        let above = try store.newUpper(above: layer.diffID)
        #expect(try shellText("stat -c '%a %u %g' \(above.upper)") == "1777 5 6\n")
        try store.discard(above)
    }

    @Test func `Contents are found by digest, after a restart too, until their layer goes`() throws {
        let layer = try commit("content")
        let digests = (0..<1000).map { Digest.of("content \($0)") }
        try store.recordContents(layer.diffID, digests.enumerated().map { ($1, Array("dir/file\($0)".utf8)) })
        for opened in [store, try LayerStore(directory: store.directory)] {
            let directory = try "\(store.directory)/\(opened.path(of: layer.diffID))"
            for (index, digest) in digests.enumerated() {
                #expect(opened.findContent(digest) == Array("\(directory)/dir/file\(index)".utf8))
            }
            #expect(opened.findContent(Digest.of("unknown")) == nil)
        }
        try store.remove(layer.diffID)
        #expect(store.findContent(digests[0]) == nil)
    }

    @Test func `A damaged index finds nothing`() throws {
        let layer = try commit("content")
        try store.recordContents(layer.diffID, [(Digest.of("a"), [97])])
        let path = try "\(store.directory)/\(store.path(of: layer.diffID)).contents"
        for size in [0, 7, 8, 20, 44] {
            try shellBytes("truncate -s \(size) \(path)")
            let again = try LayerStore(directory: store.directory)
            #expect(again.findContent(Digest.of("a")) == nil)
        }
    }

    @Test func `A tree of any depth is removed`() throws {
        let path = temporary.path + "/deep"
        mkdir(path, 0o755)
        var directory = try FileDescriptor(Array(path.utf8), flags: O_RDONLY | O_DIRECTORY)
        for _ in 0..<700 {
            mkdirat(directory.number, "d", 0o755)
            mkdirat(directory.number, "e", 0o755)
            symlinkat("/etc", directory.number, "link")
            directory = try FileDescriptor(Array("d".utf8), in: directory.number, flags: O_RDONLY | O_DIRECTORY)
        }
        try TreeRemoval.remove(path)
        #expect(access(path, F_OK) != 0)
        #expect(access("/etc/passwd", F_OK) == 0)
        try TreeRemoval.remove(path)
    }

    @Test func `A directory with other things in it is not taken for a store`() throws {
        let other = temporary.path + "/precious"
        try shellBytes("mkdir -p \(other)/zz; touch \(other)/file.txt")
        #expect(throws: LayerStoreError.self) { try LayerStore(directory: other) }
        #expect(try names(in: other) == ["file.txt", "zz"])
    }

    @Test func `Many threads may use it at once`() throws {
        let store = store
        let layers = try (0..<4).map { try commit("shared \($0)") }
        let archives = try layers.map { try archive(of: $0) }
        let other = try LayerStore(directory: temporary.path + "/other")
        try withThreads(8) { thread in
            for round in 0..<6 {
                let index = (thread + round) % layers.count
                try other.receive(layers[index], from: ByteGiver(archives[index], portion: 100))
                if (try? other.pin([layers[index].diffID])) != nil {
                    try other.write(diffID: layers[index].diffID, to: ByteCollector())
                    other.unpin([layers[index].diffID])
                }
                _ = try other.collect(keeping: 4000)
                let staging = try store.newUpper()
                try write("\(thread % 2) \(round)", to: staging.upper + "/f")
                _ = try store.commit(staging)
            }
        }
        #expect(store.all().count == layers.count + 12)
        #expect(Set(try LayerStore(directory: store.directory).all()) == Set(store.all()))
        #expect(try names(in: other.directory + "/tmp") == [])
    }
}
