import BlockingIO
import BuildPlan
import Certificates
import Digests
import FarmAPI
import Glibc
import NIOCore
import Synchronization
import Testing
import Transport
import TreeSync

@testable import Volumes

@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct PeerTests {
    let key = VolumeKey.test()

    private func holder(of farm: TestFarm, asking agent: String) async throws -> Holder {
        try #require(try await farm.coordinator.holders(key, for: agent).first)
    }

    /// What a request for changes is refused with; nil when it is answered.
    private func refusal(_ peers: PeerClient, _ holder: Holder) async throws -> Int? {
        do {
            _ = try await peers.changes(from: holder, key: key, known: 0, wanted: 1)
            return nil
        } catch VolumeError.peerRefused(_, let status, _) {
            return status
        }
    }

    @Test func `a step waits for a holder that is starting again`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two", settings: VolumeSettings()))
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            await one.stop()
            let back = Mutex<TestAgent?>(nil)
            let questions = Mutex(0)
            await farm.coordinator.setAfterLocate {
                let count = questions.withLock { count in
                    count += 1
                    return count
                }
                // The first attempt has found nobody.
                guard count == 2 else { return }
                let agent = try? await farm.agent("one")
                back.withLock { $0 = agent }
            }
            let lease = try await two.step(key) { try shell("test $(cat f) = 1", in: $0) }
            #expect(lease.notes.isEmpty)
            await back.withLock { $0 }?.stop()
            await two.stop()
        }
    }

    @Test func `a holder that can't be reached is waited for once for a step`() async throws {
        try await TestFarm.with { farm in
            var settings = VolumeSettings()
            settings.startPatience = .milliseconds(300)
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two", settings: settings))
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            await one.stop()
            let before = Mutex(0)
            let after = Mutex(0)
            await farm.coordinator.setAfterLocate { [key] in
                // With the lock others would wait, too.
                if await farm.coordinator.isLocked(key) { after.withLock { $0 += 1 } } else { before.withLock { $0 += 1 } }
            }
            let lease = try await two.step(key) { try shell("test ! -e f", in: $0) }
            #expect(lease.notes.contains { $0.contains("starts empty") })
            #expect(before.withLock { $0 } > 1 && after.withLock { $0 } == 0)
            await two.stop()
        }
    }

    @Test func `a holder whose files have changed on the disk is told to the coordinator`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await one.step(key) { try shell("echo good > f; touch -d @5 f", in: $0) }
            await one.service.settle()
            let layer = "\(one.store.directory(of: key))/\(one.store.layerNames(of: key)[0])"
            try shell("echo evil > f; touch -d @5 f", in: layer)
            let lease = try await two.step(key) { try shell("test ! -e f", in: $0) }
            #expect(!lease.notes.isEmpty)
            let suspects = await farm.coordinator.suspects
            #expect(!suspects.isEmpty && suspects.allSatisfy { $0.key == key && $0.holder == "one" })
            await one.stop()
            await two.stop()
        }
    }

    @Test func `an agent that is wrongly taken for a holder of the head says at once what it has, and corrects the coordinator`()
        async throws
    {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            var mistake = HoldingsChange()
            mistake.volumes = [HeldVolume(key: key, generation: 3)]
            await farm.coordinator.change(mistake, by: "one")
            let (answer, _) = try await two.peers.changes(
                from: try await holder(of: farm, asking: "two"), key: key, known: 0, wanted: 3)
            guard case .decoded(.whole(generation: 1, _)) = answer else {
                Issue.record("\(answer)")
                return
            }
            while await farm.coordinator.holders(key) != ["one": 1] { try await Task.sleep(for: .milliseconds(5)) }
            await one.stop()
            await two.stop()
        }
    }

    @Test func `only an agent with a valid grant for just that gets a volume`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            let good = try await holder(of: farm, asking: "two")
            #expect(try await refusal(two.peers, good) == nil)
            // Another agent's, another volume's, an expired one, a forged one, none.
            var bad = good
            bad.grant = try await farm.coordinator.grant(for: "three", Grant.object(of: key))
            #expect(try await refusal(two.peers, bad) == 403)
            bad.grant = try await farm.coordinator.grant(for: "two", Grant.object(of: VolumeKey.test("other")))
            #expect(try await refusal(two.peers, bad) == 403)
            await farm.coordinator.setExpires(Timestamp(seconds: Int64(time(nil)) - 1))
            bad.grant = try await farm.coordinator.grant(for: "two", Grant.object(of: key))
            #expect(try await refusal(two.peers, bad) == 403)
            let message = try FarmJSON.encode(
                Grant(subject: "two", object: Grant.object(of: key), expires: Timestamp(seconds: 4_000_000_000)))
            bad.grant = Base64URL.encode(message) + "." + Base64URL.encode(try GrantSigningKey.create().sign(message))
            #expect(try await refusal(two.peers, bad) == 403)
            bad.grant = "x"
            #expect(try await refusal(two.peers, bad) == 403)
            // A client's certificate is none of an agent's.
            let client = PeerClient(identity: try farm.identity("two", role: Role.client))
            #expect(try await refusal(client, good) == 403)
            await client.close()
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a holder that is gone is replaced by the next, and without any the newest generation serves`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            let three = try await farm.agent("three")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            await one.stop()
            let first = try await three.step(key) { try shell("test -e f", in: $0) }
            #expect(first.bytesReceived > 0)
            #expect(first.notes.isEmpty, "the next holder had it")
            try await three.step(key) { try shell("echo 2 > g", in: $0) }
            await three.stop()
            let stale = try await two.step(key) { try shell("test -e f; test ! -e g", in: $0) }
            #expect(stale.notes.contains { $0.contains("generation 1 is used") })
            // The history goes on without the lost generation once the coordinator has given its holder up; who comes back with it follows.
            await farm.coordinator.forget("three")
            let lease = try await two.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "l")
            try shell("echo 3 > h", in: lease.paths[0])
            let notes = try await two.service.release(lease)
            #expect(notes.contains { $0.contains("goes on from generation 1") }, "\(notes)")
            #expect(await farm.coordinator.head(key) == 3)
            let back = try await farm.agent("three")
            #expect(back.store.generation(of: key) == 2)
            try await back.step(key) { try shell("test -e f; test ! -e g; test -e h", in: $0) }
            #expect(back.store.generation(of: key) == 3)
            await back.stop()
            await two.stop()
        }
    }

    @Test func `content that is not what was announced is refused, and the old generation stays`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("echo 1 > f; head -c 100000 /dev/urandom > big", in: $0) }
            try await two.step(key)
            try await one.step(key) { try shell("echo 2 > f; echo y >> big; echo new > n", in: $0) }
            // Behind the store's back.
            let layer = try #require(one.store.snapshot(of: key)?.layers.last)
            try shell("echo 3 > f", in: layer)
            let lease = try await two.step(key) { try shell("test $(cat f) = 1; test ! -e n", in: $0) }
            #expect(two.store.generation(of: key) == 1)
            #expect(lease.notes.contains { $0.contains("not those that were announced") })
            #expect(try leftovers(two).isEmpty)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a delta that lies costs a second round and nothing else`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("head -c 400000 /dev/urandom > big", in: $0) }
            try await two.step(key)
            // The receiver's old version is damaged: what the delta makes of it is wrong.
            let old = try #require(two.store.snapshot(of: key)?.layers.last)
            var expected = ""
            try await one.step(key) { path in
                try shell("echo y >> big", in: path)
                expected = try listing(path)
            }
            try shell("printf damage | dd of=big bs=1 seek=1000 conv=notrunc status=none", in: old)
            let lease = try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(lease.notes.isEmpty)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a transfer that is cut leaves the old generation whole and nothing else`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            try await one.step(key) {
                try shell(
                    "echo 2 > f; head -c 300000000 /dev/zero | openssl enc -rc4 -k x 2>/dev/null > big || head -c 300000000 /dev/urandom > big",
                    in: $0)
            }
            let key = key
            let step = Task { try await two.step(key) { try shell("test $(cat f) = 1; test ! -e big", in: $0) } }
            // Once it is under way: the big file grows in the staging directory.
            while try leftovers(two).isEmpty { try await Task.sleep(for: .milliseconds(1)) }
            await one.server.shutdown(grace: .zero)
            let lease = try await step.value
            #expect(lease.notes.contains { $0.contains("generation 1 is used") })
            #expect(two.store.generation(of: key) == 1)
            #expect(try leftovers(two).isEmpty)
            await one.stop()
            await two.stop()
        }
    }

    /// Directories of transfers that are neither published nor removed.
    private func leftovers(_ agent: TestAgent) throws -> [String] {
        try VolumeFiles.names(in: agent.store.directory(of: key)).filter { $0.hasPrefix(VolumeStore.stagingPrefix) }
    }

    @Test func `a layer is served to an agent with a grant`() async throws {
        struct OneLayer: LayerSource {
            let bytes: [UInt8]
            func contains(_ diffID: Digest) -> Bool { diffID == Digest.of(bytes) }
            func write(diffID: Digest, to sink: any ByteSink) throws { try sink.write(bytes) }
        }
        try await TestFarm.with { farm in
            let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let one = try await farm.agent("one", layers: OneLayer(bytes: bytes))
            let two = try await farm.agent("two")
            let diffID = Digest.of(bytes)
            let address = try #require(await farm.coordinator.addresses["one"])
            let holder = Holder(
                agent: "one", address: address, grant: try await farm.coordinator.grant(for: "two", Grant.object(of: diffID)))
            let pipe = try await two.peers.fetchLayer(from: holder, diffID: diffID)
            var got: [UInt8] = []
            while let part = try await pipe.next() { got += part }
            #expect(got == bytes)
            await #expect(throws: VolumeError.self) { try await two.peers.fetchLayer(from: holder, diffID: Digest.of("other")) }
            // A reader that stops early stops the writer.
            let second = try await two.peers.fetchLayer(from: holder, diffID: diffID)
            second.abandon()
            await one.stop()
            await two.stop()
        }
    }

    @Test func `base64url is what RFC 4648 says`() {
        #expect(Base64URL.encode(Array("foobar".utf8)) == "Zm9vYmFy")
        #expect(Base64URL.encode([0xff, 0xfe]) == "__4")
        #expect(Base64URL.decode("__4") == [0xff, 0xfe])
        #expect(Base64URL.decode("__5") == nil, "bits that belong to nothing")
        #expect(Base64URL.decode("A") == nil)
        #expect(Base64URL.decode("Zm9v=") == nil)
        for count in 0..<40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 97) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
    }
}
