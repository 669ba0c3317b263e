import BlockingIO
import Digests
import FarmAPI
import Glibc
import Testing

@testable import Volumes

@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct BusyPeerTests {
    let key = VolumeKey.test()
    private var single: ServingLimits {
        var limits = ServingLimits()
        (limits.steps, limits.layers, limits.copies) = (1, 1, 1)
        return limits
    }

    @Test func `a step does not wait for the holder's copies to others`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one", limits: single)
            let (two, three, four) = (try await farm.agent("two"), try await farm.agent("three"), try await farm.agent("four"))
            try await one.step(key) { try shell("head -c 30000000 /dev/urandom > f; sha256sum f > sum", in: $0) }
            let holders = try await farm.coordinator.holders(key, for: "two")
            let order = CopyOrder(key: key, generation: 1, holders: holders)
            // Five minutes at this pace.
            async let copied = two.service.copy(order, bytesPerSecond: 100_000)
            while one.peerServer.places.taken(.copies) == 0 { try await Task.sleep(for: .milliseconds(1)) }
            let start = ContinuousClock.now
            let lease = try await three.step(key) { try shell("sha256sum -c sum > /dev/null", in: $0) }
            #expect(lease.notes.isEmpty)
            #expect(ContinuousClock.now - start < .seconds(60))
            #expect(one.peerServer.places.refusals == 0)
            // Other copies wait for this one.
            let holder = try #require(try await farm.coordinator.holders(key, for: "four").first { $0.agent == "one" })
            while one.peerServer.places.refusals == 0 {
                _ = try? await Pace.$current.withValue(Pace(bytesPerSecond: 0)) {
                    try await four.peers.changes(from: holder, key: key, known: 0, wanted: 1)
                }
            }
            await two.service.hurry([key])
            #expect(await copied.generation == 1)
            for agent in [one, two, three, four] { await agent.stop() }
        }
    }

    @Test func `who hears that a holder is busy comes back, and gets everything`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one", limits: single)
            let (two, three) = (try await farm.agent("two"), try await farm.agent("three"))
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            try await one.step(key) { try shell("echo 2 > f", in: $0) }
            let place = try #require(one.peerServer.places.take(.steps))
            async let lease = three.step(key) { try shell("test $(cat f) = 2", in: $0) }
            while one.peerServer.places.refusals < 2 { try await Task.sleep(for: .milliseconds(1)) }
            #expect(three.store.held().isEmpty, "an older generation of another holder costs a transfer, and is not what is wanted")
            place.leave()
            #expect(try await lease.notes.isEmpty)
            #expect(one.peerServer.places.taken(.steps) == 0)
            for agent in [one, two, three] { await agent.stop() }
        }
    }

    @Test func `a holder that stays busy is passed over, and the step says so`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one", limits: single)
            let two = try await farm.agent("two")
            var hasty = PeerPatience()
            hasty.busy = .zero
            let three = try await farm.agent("three", patience: hasty)
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            try await one.step(key) { try shell("echo 2 > f", in: $0) }
            let place = try #require(one.peerServer.places.take(.steps))
            let lease = try await three.step(key) { try shell("test $(cat f) = 1", in: $0) }
            #expect(lease.notes.contains { $0.contains("agent one is busy") }, "\(lease.notes)")
            #expect(lease.notes.contains { $0.contains("generation 1 is used") }, "\(lease.notes)")
            place.leave()
            for agent in [one, two, three] { await agent.stop() }
        }
    }

    @Test func `layers have places of their own, which are free again when a transfer has ended or was never read`() async throws {
        struct OneLayer: LayerSource {
            let bytes: [UInt8]
            func contains(_ diffID: Digest) -> Bool { diffID == Digest.of(bytes) }
            func write(diffID: Digest, to sink: any ByteSink) throws { try sink.write(bytes) }
        }
        try await TestFarm.with { farm in
            let bytes = [UInt8](repeating: 7, count: 30_000_000)
            let one = try await farm.agent("one", layers: OneLayer(bytes: bytes), limits: single)
            let two = try await farm.agent("two")
            let diffID = Digest.of(bytes)
            let holder = Holder(
                agent: "one", address: try #require(await farm.coordinator.addresses["one"]),
                grant: try await farm.coordinator.grant(for: "two", Grant.object(of: diffID)))
            let steps = try #require(one.peerServer.places.take(.steps))
            let pipe = try await two.peers.fetchLayer(from: holder, diffID: diffID)
            do {
                _ = try await two.peers.fetchLayer(from: holder, diffID: diffID)
                Issue.record("two at a time")
            } catch let error as VolumeError {
                #expect(error.isBusyPeer)
            }
            pipe.abandon()
            while one.peerServer.places.taken(.layers) > 0 { try await Task.sleep(for: .milliseconds(1)) }
            let second = try await two.peers.fetchLayer(from: holder, diffID: diffID)
            var count = 0
            while let part = try await second.next() { count += part.count }
            #expect(count == bytes.count)
            while one.peerServer.places.taken(.layers) > 0 { try await Task.sleep(for: .milliseconds(1)) }
            steps.leave()
            for agent in [one, two] { await agent.stop() }
        }
    }
}
