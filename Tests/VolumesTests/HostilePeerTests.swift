import BlockingIO
import Digests
import FarmAPI
import Glibc
import Logging
import Testing
import Transport

@testable import TreeSync
@testable import Volumes

/// A holder with a good certificate and bad intentions: refused with a clear line, nothing outside the volume touched, nothing left,
/// the old generation as it was, and the next holder asked.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(5)))
struct HostilePeerTests {
    // MARK: What it sends

    private static func entry(_ path: String, _ content: TreeEntry.Content = .directory) -> TreeEntry {
        TreeEntry(path: Array(path.utf8), mode: 0o755, uid: 0, gid: 0, modified: 0, content: content)
    }

    private static func file(_ path: String, _ text: String, size: UInt64? = nil) -> TreeEntry {
        entry(path, .file(FileContent(size: size ?? UInt64(text.utf8.count), digest: .of(text))))
    }

    /// Files whose digests differ in the last bytes only.
    private static func alike(_ count: Int) -> [TreeEntry] {
        (0..<count).map { number in
            let bytes = [UInt8](repeating: 7, count: Digest.byteCount - 3) + [16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
            let name = "f" + String(1_000_000 + number)
            return entry(name, .file(FileContent(size: 1, digest: Digest(bytes: bytes) ?? .of(name))))
        }
    }

    private static func whole(_ entries: [TreeEntry], generation: Int = 2) throws -> [UInt8] {
        let answer = Collected()
        try ChangesAnswer.whole(generation: generation, VolumeManifest(unchecked: entries)).write(to: answer)
        return answer.bytes
    }

    private static func delta(_ puts: [TreeEntry], _ deletions: [String] = []) throws -> [UInt8] {
        let delta = DeltaManifest(unchecked: puts, deletions: deletions.map { Array($0.utf8) })
        let answer = Collected()
        try ChangesAnswer.delta(generation: 2, VolumeTotals(bytes: 1, files: 1), GenerationChange(delta)).write(to: answer)
        return answer.bytes
    }

    private static func content(_ text: String, announced: Int? = nil, then rest: [UInt8] = []) throws -> [UInt8] {
        try blocks { sink in
            var head = ByteEncoder()
            head.byte(FetchFormat.content)
            head.number(announced ?? text.utf8.count)
            head.raw(Array(text.utf8))
            head.raw(rest)
            try sink.write(head.bytes)
        }
    }

    /// librsync's magic, then one command that copies eight-byte position and length, then its end; as chunks.
    private static func copy(_ position: UInt64, _ length: UInt64) throws -> [UInt8] {
        try blocks { sink in
            try sink.write([FetchFormat.delta])
            let chunks = ChunkSink(sink)
            let numbers = [position, length].flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }
            try chunks.write([0x72, 0x73, 0x02, 0x36, 0x54] + numbers + [0])
            try chunks.finish()
        }
    }

    struct Attack: Sendable {
        var name: String
        var script: FakePeer.Script
        var says: String
        /// To who has nothing, where that is something else.
        var saysToEmpty: String?
    }

    private static func attacks() throws -> [Attack] {
        let root = entry("")
        let link = entry("l", .symlink(target: Array("/tmp".utf8)))
        var attributed = entry("o")
        attributed.attributes = [TreeEntry.Attribute(name: Array("trusted.overlay.redirect".utf8), value: Array("/".utf8))]
        let good = try whole([root, file("f", "hello")])
        let big = String(repeating: "x", count: 20_000)
        var attacks: [Attack] = []
        func add(
            _ name: String, _ says: String, _ changes: [UInt8], fetch: [UInt8] = [], _ change: (inout FakePeer.Script) -> Void = { _ in }
        ) {
            var script = FakePeer.Script(changes: changes, fetch: fetch)
            change(&script)
            attacks.append(Attack(name: name, script: script, says: says))
        }
        add("a path with ..", "part '..'", try whole([root, file("../outside", "x")]))
        add("an absolute path", "an empty part", try whole([root, file("/outside", "x")]))
        add("a file through a symbolic link", "in no directory", try whole([root, link, file("l/outside", "x")]))
        add("a name twice", "refused", try whole([root, file("a", "x"), file("a", "y")]))
        add("names out of order", "out of order", try whole([root, file("b", "x"), file("a", "y")]))
        add("a length of 2^63", "a size of", try whole([root, file("a", "x", size: 1 << 63)]))
        add("an attribute that steers overlayfs", "the attribute", try whole([root, attributed]))
        add(
            "a path longer than a path may be", "is too large",
            try whole([root, file((0..<2500).map { _ in "d" }.joined(separator: "/"), "x")]))
        // Digests that agree in so many bytes must not make looking them up take hours.
        add(
            "contents that are hard to tell apart", "no longer has", try whole([root] + alike(100_000)),
            fetch: try blocks { try $0.write([FetchFormat.gone]) })
        add("no root", "refused", try whole([file("a", "x")]))
        add("a deleted root", "both put and deleted", try delta([root], [""]))
        add("put and deleted", "both put and deleted", try delta([root, file("a", "x")], ["a"]))
        add(
            "more names than bytes", "a count of",
            try blocks { sink in
                var head = ByteEncoder()
                head.byte(2)
                head.number(2)
                var manifest = ByteEncoder()
                manifest.raw(Array("FVM1".utf8))
                manifest.number(UInt64(1) << 50)
                head.raw(manifest.bytes + Digest.of(manifest.bytes).bytes)
                try sink.write(head.bytes)
            })
        add(
            "a manifest with a wrong digest", "its digest is wrong",
            try blocks { try $0.write([2, 2] + Array("FVM1".utf8) + [UInt8](repeating: 0, count: 40)) })
        add("an answer of a kind that there is not", "unknown kind", try blocks { try $0.write([77, 2, 3]) })
        add("a comparison with nothing", "refused", try blocks { try $0.write([3, 2]) })
        add("nothing at all", "ends early", [])
        add("no end", "more than", [0, 0x80, 0x80, 0x04] + [UInt8](repeating: 2, count: 1 << 16)) { $0.repeats = true }
        attacks[attacks.count - 1].saysToEmpty = "does not begin as one"
        add("a block that is too long", "too large", [0, 0xff, 0xff, 0xff, 0x7f])
        add("a compressed block that is none", "damaged block", [1, 0xff, 0x07, 4, 1, 2, 3, 4])
        add("noise", "refused", (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ 7) })
        add("the wrong content", "not those that were announced", good, fetch: try content("HELLO"))
        add("more content than announced", "too large", good, fetch: try content("hello, world"))
        add("less content than announced", "ends early", good, fetch: try content("hel", announced: 5))
        add("a length of 2^62", "too large", good, fetch: try content("hello", announced: 1 << 62))
        add("a delta that nobody asked for", "nobody asked for", good, fetch: try copy(0, 5))
        // What was asked for came, and is kept for the next attempt.
        add("files that nobody asked for", "", good, fetch: try content("hello", then: [1, 1, 0x78]))
        add("content that is gone", "no longer has", good, fetch: try blocks { try $0.write([FetchFormat.gone]) })
        add("a stream that stops", "sent next to nothing", good, fetch: Array(try content("hello").prefix(4))) { $0.hangs = true }
        add("a byte now and then", "sent next to nothing", good) { $0.pause = .milliseconds(100) }
        add("everything, and no end", "", try whole([root, entry("d")])) { $0.hangs = true }
        for (position, length) in [(4000, UInt64(20_000)), (1 << 62, 5), (.max, 5), (0, .max), (0, 1 << 63)] as [(UInt64, UInt64)] {
            add(
                "a delta that copies \(length) from \(position)", "nobody asked for",
                try delta([root, file("big", big)]), fetch: try copy(position, length))
        }
        return attacks
    }

    // MARK: What becomes of it

    @Test func `a hostile holder gets nowhere`() async throws {
        try await TestFarm.with { farm in
            var patience = PeerPatience()
            patience.window = .seconds(3)
            let good = try await farm.agent("good")
            let two = try await farm.agent("two", patience: patience)
            let three = try await farm.agent("three", patience: patience)
            let evil = try FakePeer(farm: farm, script: FakePeer.Script(changes: []))
            await farm.coordinator.register("evil", "127.0.0.1:\(try await evil.server.start())")
            try shell("mkdir outside; echo safe > outside/file", in: farm.directory)
            let before = try listing("\(farm.directory)/outside")
            for attack in try Self.attacks() {
                evil.set(attack.script)
                let asked = evil.requests.count
                // A project of its own: what other volumes of a project have is not asked for.
                var key = VolumeKey.test()
                key.project = attack.name
                try await attackOnce(attack, key, good, two, three, farm)
                #expect(evil.requests.count > asked, "\(attack.name)")
                #expect(try listing("\(farm.directory)/outside") == before, "\(attack.name)")
                #expect(access("/tmp/outside", F_OK) != 0, "\(attack.name)")
            }
            await evil.server.shutdown(grace: .zero)
            for agent in [good, two, three] { await agent.stop() }
        }
    }

    private func attackOnce(
        _ attack: Attack, _ key: VolumeKey, _ good: TestAgent, _ two: TestAgent, _ three: TestAgent, _ farm: TestFarm
    ) async throws {
        // Generation 1 is honest and here; generation 2 is the attacker's alone.
        try await good.step(key) { try shell("echo 1 > f; head -c 20000 /dev/zero > big", in: $0) }
        try await two.step(key)
        let old = try tree(two, key)
        let claim = PublishVolume(key: key, digest: .of("evil"), parent: 1, bytes: 1, files: 1, deltaBytes: 1)
        _ = try await farm.coordinator.publish(claim, by: "evil")
        #expect(await farm.coordinator.head(key) == 2)
        let start = ContinuousClock.now
        async let empty: Void = attackEmpty(attack, key, three, farm)
        let lease = try await two.step(key)
        try await empty
        #expect(ContinuousClock.now - start < .seconds(60), "\(attack.name)")
        let names = try VolumeFiles.names(in: two.store.directory(of: key))
        #expect(!names.contains { $0.hasPrefix(VolumeStore.stagingPrefix) }, "\(attack.name): \(names)")
        // What is valid and does not end is believed as far as it came.
        guard !attack.says.isEmpty else { return }
        #expect(lease.notes.contains { $0.contains(attack.says) && $0.contains("evil") }, "\(attack.name): \(lease.notes)")
        #expect(two.store.generation(of: key) == 1, "\(attack.name)")
        #expect(try tree(two, key).difference(from: old) == nil, "\(attack.name)")
        // An honest one later on is believed.
        await farm.coordinator.forget("evil")
        try await good.step(key) { try shell("echo 3 > g", in: $0) }
        try await two.step(key) { try shell("test $(cat g) = 3; test $(cat f) = 1", in: $0) }
    }

    /// The same to who has nothing: what is all of a volume is not decoded then.
    private func attackEmpty(_ attack: Attack, _ key: VolumeKey, _ three: TestAgent, _ farm: TestFarm) async throws {
        // Waiting is the same whatever one has.
        guard !attack.script.hangs, attack.script.pause == nil else { return }
        let holders = try await farm.coordinator.holders(key, for: "three").filter { $0.agent == "evil" }
        let coordinator = MemoryCoordinatorClient(agent: "three", coordinator: farm.coordinator)
        let sync = VolumeSync(store: three.store, peers: three.peers, coordinator: coordinator, logger: Logger(label: "three"))
        let outcome = try await sync.bring(key, to: 2, from: holders)
        let left = (try? VolumeFiles.names(in: three.store.directory(of: key))) ?? []
        #expect(!left.contains { $0.hasPrefix(VolumeStore.stagingPrefix) }, "\(attack.name), to who has nothing: \(left)")
        guard !attack.says.isEmpty else { return }
        let says = attack.saysToEmpty ?? attack.says
        #expect(outcome.notes.contains { $0.contains(says) }, "\(attack.name), to who has nothing: \(outcome.notes)")
        #expect(three.store.generation(of: key) == 0, "\(attack.name), to who has nothing")
    }

    private func tree(_ agent: TestAgent, _ key: VolumeKey) throws -> TreeDump {
        let snapshot = try #require(agent.store.snapshot(of: key))
        return try TreeDump(try #require(snapshot.layers.last))
    }
}
