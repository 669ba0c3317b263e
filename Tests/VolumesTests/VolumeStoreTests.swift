import BlockingIO
import Digests
import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(1)))
struct VolumeStoreTests {
    let key = VolumeKey.test()

    private func withStore(_ body: (String) throws -> Void) throws {
        let directory = "/tmp/farm-store-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(directory, 0o700)
        defer { try? RemoveTree.remove(directory) }
        try body(directory)
    }

    /// Publishes a generation that holds one more file, or another change of the upper directory.
    private func publish(_ store: VolumeStore, _ generation: Int, _ change: String? = nil) throws {
        let staging = try store.makeStaging(of: key)
        try shell(change ?? "echo \(generation) > f\(generation)", in: staging)
        let lower = try store.snapshot(of: key)?.manifest() ?? VolumeManifest()
        var index = try UpperIndex(directory: staging, lower: lower, generation: generation - 1)
        let change = try index.index()
        let totals = VolumeTotals(of: lower.applying(change.delta))
        try store.append(staging, change: change, to: generation, of: key, upon: generation - 1, totals: totals)
    }

    @Test func `what a crash leaves is removed, and the last published generation is whole`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...3 { try publish(store, generation) }
            let path = store.directory(of: key)
            let staging = try store.makeStaging(of: key)
            try shell("mkdir -p upper/x work merged; echo > upper/x/y", in: staging)
            // A layer that was moved in but not named by the state yet.
            try shell("cp -r g3-3 g4-4; cp g3-3.manifest g4-4.manifest; echo half > state.new; mkdir ../junk", in: path)
            let again = try VolumeStore(directory: directory)
            #expect(again.held() == [HeldVolume(key: key, generation: 3)])
            #expect(
                try VolumeFiles.names(in: path) == [
                    "g1-1", "g1-1.manifest", "g2-2", "g2-2.journal", "g2-2.manifest", "g3-3", "g3-3.journal", "g3-3.manifest", "state",
                ])
            #expect(try VolumeFiles.names(in: directory).count == 2)
            let manifest = try #require(try again.snapshot(of: key)?.manifest())
            #expect(manifest.entries.map { String(decoding: $0.path, as: UTF8.self) } == ["", "f1", "f2", "f3"])
        }
    }

    @Test func `after a power loss only what was written through counts`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            try publish(store, 1)
            try publish(store, 2)
            try store.maintain(key)
            try publish(store, 3)
            try shell("sed -i 's/\"boot\":\"[^\"]*\"/\"boot\":\"another\"/' state", in: store.directory(of: key))
            let again = try VolumeStore(directory: directory)
            #expect(again.generation(of: key) == 2)
            #expect(again.size(of: key).files == 3)
            try publish(again, 3)
            #expect(again.generation(of: key) == 3)
        }
    }

    @Test func `what is made for speed only does not keep a generation from being written through`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            try publish(store, 1)
            // Its index can't be written.
            try shell("mkdir g1-1.index.new", in: store.directory(of: key))
            #expect(throws: VolumeError.self) { try store.maintain(key) }
            try shell("sed -i 's/\"boot\":\"[^\"]*\"/\"boot\":\"another\"/' state", in: store.directory(of: key))
            #expect(try VolumeStore(directory: directory).generation(of: key) == 1)
        }
    }

    @Test func `a layer for whose contents there is no room is not indexed, however often it is asked`() throws {
        try withStore { directory in
            var settings = VolumeSettings()
            settings.indexedFiles = 2
            let store = try VolumeStore(directory: directory, settings: settings)
            for generation in 1...3 {
                try publish(store, generation)
                try store.maintain(key)
            }
            #expect(try VolumeFiles.names(in: store.directory(of: key)).filter { $0.hasSuffix(".index") } == ["g1-1.index"])
        }
    }

    @Test func `a power loss just after a merge costs no generation that had been written through`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...5 { try publish(store, generation) }
            try store.writeThrough(key)
            try store.compact(key)
            #expect(store.layerCount(of: key) == 1)
            try loseMemory(of: store)
            let again = try VolumeStore(directory: directory)
            #expect(again.generation(of: key) == 5)
            #expect(again.size(of: key).files == 6)
        }
    }

    /// As if another kernel had started since.
    private func loseMemory(of store: VolumeStore) throws {
        try shell("sed -i 's/\"boot\":\"[^\"]*\"/\"boot\":\"another\"/' state*", in: store.directory(of: key))
    }

    @Test(arguments: [": > state", "printf '{\"version\":2' > state"])
    func `where a power loss has damaged the state, what was written through before is there`(damage: String) throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...12 { try publish(store, generation) }
            try store.maintain(key)
            try publish(store, 13)
            try shell(damage, in: store.directory(of: key))
            try loseMemory(of: store)
            let again = try VolumeStore(directory: directory)
            #expect(again.generation(of: key) == 12)
            try publish(again, 13)
            #expect(try VolumeStore(directory: directory).generation(of: key) == 13)
        }
    }

    @Test func `nobody waits for the disk on which another volume's state is written through`() async throws {
        let directory = "/tmp/farm-store-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(directory, 0o700)
        defer { try? RemoveTree.remove(directory) }
        let store = try VolumeStore(directory: directory)
        try publish(store, 1)
        // Whoever writes to it waits until somebody reads.
        let slow = "\(store.directory(of: key))/state.durable.new"
        try #require(mkfifo(slow, 0o600) == 0)
        let key = key
        let written = Task { try await BlockingPool.shared.run { try store.writeThrough(key) } }
        // Becomes true only while that one waits.
        while try !String(decoding: VolumeFiles.read("\(store.directory(of: key))/state", upTo: 1 << 20), as: UTF8.self)
            .contains("\"isDurable\":true")
        {
            try await Task.sleep(for: .milliseconds(5))
        }
        let other = VolumeKey.test("other")
        let staging = try store.makeStaging(of: other)
        try store.append(staging, change: GenerationChange(DeltaManifest()), to: 1, of: other, upon: 0, totals: VolumeTotals())
        #expect(store.generation(of: other) == 1)
        let reader = open(slow, O_RDONLY)
        defer { close(reader) }
        // A pipe can't be synced.
        await #expect(throws: VolumeError.self) { try await written.value }
    }

    @Test func `a generation that nobody could read is refused, and the one before stays`() throws {
        try withStore { directory in
            var settings = VolumeSettings()
            settings.manifestBytes = 4096
            let store = try VolumeStore(directory: directory, settings: settings)
            // The same names again and again: each change is small, and so is what they come to.
            for generation in 1...10 { try publish(store, generation, "for i in 1 2 3 4 5 6 7 8; do echo \(generation) > f$i; done") }
            let before = try VolumeFiles.names(in: store.directory(of: key))
            let error = #expect(throws: VolumeError.self) { try publish(store, 11, "for i in $(seq 100); do echo > g$i; done") }
            #expect("\(error as Any)".contains("farm volumes rm"), "\(error as Any)")
            #expect(store.generation(of: key) == 10)
            #expect(try VolumeFiles.names(in: store.directory(of: key)).filter { !$0.hasPrefix(VolumeStore.stagingPrefix) } == before)
            // Each of these is small enough, together they are not.
            try publish(store, 11, "for i in $(seq 20); do echo > h$i; done")
            #expect(throws: VolumeError.self) {
                for part in 12...20 { try publish(store, part, "for i in $(seq 20); do echo > i\(part)-$i; done") }
            }
            let left = store.generation(of: key)
            try store.maintain(key)
            #expect(store.layerCount(of: key) <= VolumeStore.layerLimit)
            #expect(try VolumeStore(directory: directory, settings: settings).generation(of: key) == left)
        }
    }

    @Test func `layers whose names together nobody could read are not merged, and stay`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...12 { try publish(store, generation, "for i in $(seq 20); do echo > f\(generation)-$i; done") }
            var settings = VolumeSettings()
            settings.manifestBytes = 8192
            let again = try VolumeStore(directory: directory, settings: settings)
            let before = try VolumeFiles.names(in: again.directory(of: key))
            #expect(throws: (any Error).self) { try again.maintain(key) }
            #expect(again.layerCount(of: key) == 12)
            #expect(try Set(VolumeFiles.names(in: again.directory(of: key))).isSuperset(of: before))
            // What else there is to do has been done.
            try loseMemory(of: again)
            let last = try VolumeStore(directory: directory)
            #expect(last.generation(of: key) == 12)
            #expect(try last.snapshot(of: key)?.manifest().entries.count == 241)
        }
    }

    @Test func `a leftover that can't be removed keeps neither its volume nor others from being there`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            try publish(store, 1)
            let busy = "\(try store.makeStaging(of: key))/busy"
            let other = "\(directory)/no-volume/busy"
            try shell("mkdir -p '\(busy)' '\(other)'", in: directory)
            for path in [busy, other] { try #require(mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0) }
            defer { for path in [busy, other] { umount2(path, Int32(MNT_DETACH)) } }
            let again = try VolumeStore(directory: directory)
            #expect(again.held() == [HeldVolume(key: key, generation: 1)])
            try publish(again, 2)
            for path in [busy, other] { try #require(umount2(path, 0) == 0) }
            let last = try VolumeStore(directory: directory)
            #expect(last.generation(of: key) == 2)
            for path in [busy, other] { #expect(access(path, F_OK) != 0) }
        }
    }

    @Test func `a volume that was dropped does not come back, nor does a number that was taken away`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...2 { try publish(store, generation) }
            try store.maintain(key)
            try store.unnumber(key)
            try shell(": > state", in: store.directory(of: key))
            #expect(try VolumeStore(directory: directory).held().isEmpty)
            let other = try VolumeStore(directory: directory)
            try publish(other, 1)
            try other.maintain(key)
            // What a crash within the removal leaves.
            try shell("cp -r . ../kept; rm ../kept/state", in: other.directory(of: key))
            try other.drop(key)
            try shell("mv kept '\(other.directory(of: key))'", in: directory)
            #expect(try VolumeStore(directory: directory).held().isEmpty)
        }
    }

    @Test func `a manifest that can't be read costs the generations from it on, and no start`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...3 { try publish(store, generation) }
            try store.writeThrough(key)
            try publish(store, 4)
            try shell("printf x >> g2-2.manifest", in: store.directory(of: key))
            // The fourth is lost with the power, so that what is left is counted.
            try loseMemory(of: store)
            let again = try VolumeStore(directory: directory)
            #expect(again.generation(of: key) == 1)
            #expect(again.size(of: key).files == 2)
        }
    }

    @Test func `a journal that can't be read costs a comparison, no transfer`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...5 { try publish(store, generation) }
            try shell("printf x >> g3-3.journal", in: store.directory(of: key))
            let (answer, _) = try #require(try store.changes(of: key, since: 1, compares: true))
            #expect(isComparison(answer))
            func isComparison(_ reply: ChangesReply) -> Bool {
                if case .told(.compare(generation: 5)) = reply { true } else { false }
            }
            let (whole, _) = try #require(try store.changes(of: key, since: 2))
            guard case .whole(5, _) = whole else {
                Issue.record("not the whole: \(whole)")
                return
            }
            // Those after it are as good as before.
            guard case .told(.delta(5, _, _))? = try store.changes(of: key, since: 3, compares: true)?.0 else {
                Issue.record("no delta")
                return
            }
            #expect(isComparison(try #require(try VolumeStore(directory: directory).changes(of: key, since: 1, compares: true)?.0)))
        }
    }

    @Test func `digests of a volume that is too large for memory follow its generations`() throws {
        try withStore { directory in
            var settings = VolumeSettings()
            settings.comparedNames = 5
            for generation in 1...12 {
                // As after a restart, now and then.
                let store = try VolumeStore(directory: directory, settings: settings)
                let change =
                    generation % 3 == 0
                    ? "mknod d\(generation - 2) c 0 0; mkdir d\(generation - 1); echo > d\(generation - 1)/g"
                    : "mkdir -p d\(generation)/e; echo > d\(generation)/e/f"
                try publish(store, generation, change)
                try store.maintain(key)
                let snapshot = try #require(store.snapshot(of: key))
                let tree = try store.tree(of: snapshot)
                #expect(tree == ComparedTree(try snapshot.manifest()))
                #expect(try VolumeFiles.names(in: store.directory(of: key)).contains("digests"))
            }
        }
    }

    @Test func `a damaged state is no volume`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            try publish(store, 1)
            try shell(": > state", in: store.directory(of: key))
            let again = try VolumeStore(directory: directory)
            #expect(again.held().isEmpty)
            #expect(access(store.directory(of: key), F_OK) != 0)
        }
    }

    @Test func `the journal answers by generation, and by the whole where it does not reach`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            #expect(try store.changes(of: key, since: 0) == nil)
            for generation in 1...20 { try publish(store, generation) }
            try store.maintain(key)
            #expect(store.layerCount(of: key) == 1, "the deltas were large against the base")
            let (same, _) = try #require(try store.changes(of: key, since: 20))
            guard case .told(.same) = same else {
                Issue.record("not the same")
                return
            }
            #expect(try store.changes(of: key, since: 21) == nil)
            let (delta, _) = try #require(try store.changes(of: key, since: 18))
            guard case .told(.delta(20, let totals, let changes)) = delta else {
                Issue.record("not a delta")
                return
            }
            #expect(totals == VolumeTotals(bytes: 51, files: 21))
            #expect(changes.delta.puts.map { String(decoding: $0.path, as: UTF8.self) } == ["", "f19", "f20"])
            let (whole, snapshot) = try #require(try store.changes(of: key, since: 0))
            let bytes = BytePipe()
            try whole.write(to: bytes)
            bytes.finish()
            guard case (.whole(20, let manifest), _) = try ChangesAnswer.read(from: bytes) else {
                Issue.record("not the whole")
                return
            }
            #expect(manifest.entries.count == 21)
            #expect(try snapshot.manifest() == manifest)
        }
    }

    @Test func `journals go when they are too many bytes, but not the newest`() throws {
        try withStore { directory in
            var settings = VolumeSettings()
            settings.journalBytes = 1000
            let store = try VolumeStore(directory: directory, settings: settings)
            for generation in 1...12 { try publish(store, generation) }
            guard case .told(.delta)? = try store.changes(of: key, since: 11)?.0, case .whole? = try store.changes(of: key, since: 2)?.0
            else {
                Issue.record("the journal does not reach as far as it should")
                return
            }
            let path = store.directory(of: key)
            func bytes() throws -> Int {
                try VolumeFiles.names(in: path).filter { $0.hasSuffix(".journal") }
                    .reduce(0) { $0 + (try VolumeFiles.read("\(path)/\($1)", upTo: 1 << 20)).count }
            }
            #expect(try (1...1000).contains(bytes()))
            settings.journalBytes = 1
            let small = try VolumeStore(directory: directory, settings: settings)
            try publish(small, 13)
            guard case .told(.delta)? = try small.changes(of: key, since: 12)?.0 else {
                Issue.record("the newest has to stay")
                return
            }
            #expect(try VolumeFiles.names(in: path).filter { $0.hasSuffix(".journal") }.count == 1)
        }
    }

    @Test func `older versions go when they take more than the newest`() throws {
        try withStore { directory in
            var settings = VolumeSettings()
            settings.hiddenBytes = 100_000
            let store = try VolumeStore(directory: directory, settings: settings)
            for generation in 1...3 {
                let staging = try store.makeStaging(of: key)
                try shell("head -c \(generation == 3 ? 10 : 60000) /dev/urandom > f", in: staging)
                let lower = try store.snapshot(of: key)?.manifest() ?? VolumeManifest()
                var index = try UpperIndex(directory: staging, lower: lower, generation: generation - 1)
                let change = try index.index()
                let totals = VolumeTotals(of: lower.applying(change.delta))
                try store.append(staging, change: change, to: generation, of: key, upon: generation - 1, totals: totals)
                try store.maintain(key)
                // 60,000 bytes are hidden by the second, 120,000 by the third.
                #expect(store.layerCount(of: key) == (generation == 3 ? 1 : generation))
            }
            #expect(store.size(of: key).bytes == 10)
        }
    }

    @Test func `a state of an older version, which counts no bytes, is taken`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...3 { try publish(store, generation) }
            try shell("grep -q '{\"bytes\"' state; sed -i 's/{\"bytes\":[0-9]*,/{/g' state", in: store.directory(of: key))
            let again = try VolumeStore(directory: directory)
            #expect(again.generation(of: key) == 3)
            try publish(again, 4)
            guard case .told(.delta)? = try again.changes(of: key, since: 1)?.0 else {
                Issue.record("the journal is gone")
                return
            }
        }
    }

    @Test func `a generation stays as long as somebody reads it`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            for generation in 1...20 { try publish(store, generation) }
            var snapshot = store.snapshot(of: key)
            let layers = try #require(snapshot?.layers)
            try store.maintain(key)
            #expect(layers.allSatisfy { VolumeFiles.exists($0) })
            snapshot = nil
            try store.maintain(key)
            #expect(!layers.contains { VolumeFiles.exists($0) })
            #expect(try VolumeFiles.names(in: store.directory(of: key)).filter { $0.hasSuffix(".manifest") }.count == 1)
        }
    }

    @Test func `a generation that does not follow the newest is refused`() throws {
        try withStore { directory in
            let store = try VolumeStore(directory: directory)
            try publish(store, 1)
            let staging = try store.makeStaging(of: key)
            #expect(throws: VolumeError.self) {
                try store.append(staging, change: GenerationChange(), to: 5, of: key, upon: 4, totals: VolumeTotals())
            }
            #expect(throws: VolumeError.self) {
                try store.append(staging, change: GenerationChange(), to: 1, of: key, upon: 1, totals: VolumeTotals())
            }
        }
    }
}
