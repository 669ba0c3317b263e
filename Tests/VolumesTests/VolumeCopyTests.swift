import FarmAPI
import Glibc
import Testing

@testable import Volumes

@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct VolumeCopyTests {
    let key = VolumeKey.test()

    private func order(_ farm: TestFarm, for agent: String) async throws -> CopyOrder {
        CopyOrder(key: key, generation: await farm.coordinator.head(key), holders: try await farm.coordinator.holders(key, for: agent))
    }

    @Test func `a copy has what the holder has, and outlives it`() async throws {
        try await TestFarm.with { farm in
            let (one, two, three) = (try await farm.agent("one"), try await farm.agent("two"), try await farm.agent("three"))
            try await one.step(key) { try shell("mkdir d; echo kept > d/file", in: $0) }
            let outcome = await two.service.copy(try await order(farm, for: "two"), bytesPerSecond: 0)
            #expect(outcome.generation == 1 && outcome.error == nil && outcome.received > 0)
            await two.service.announce(key)
            await one.stop()
            try await three.step(key) { try shell("test $(cat d/file) = kept", in: $0) }
            let again = await two.service.copy(try await order(farm, for: "two"), bytesPerSecond: 0)
            #expect(again.generation == 1 && again.received == 0)
            await two.stop()
            await three.stop()
        }
    }

    @Test func `a copy that nobody can give says why`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            let order = try await order(farm, for: "two")
            await one.stop()
            let outcome = await two.service.copy(order, bytesPerSecond: 0)
            #expect(outcome.generation == 0)
            #expect(outcome.error?.contains("one") == true, "\(outcome.error ?? "nothing")")
            #expect(two.store.held().isEmpty)
            await two.stop()
        }
    }

    @Test func `a copy in the background keeps its pace, until a step waits for the volume`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await one.step(key) { try shell("head -c 8000000 /dev/urandom > f; sha256sum f > sum", in: $0) }
            let order = try await order(farm, for: "two")
            // Eighty seconds at this pace.
            async let copied = two.service.copy(order, bytesPerSecond: 100_000)
            while await two.service.paces.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            let start = ContinuousClock.now
            try await two.step(key) { try shell("sha256sum -c sum > /dev/null", in: $0) }
            #expect(ContinuousClock.now - start < .seconds(60))
            #expect(await copied.generation == 1)
            #expect(await two.service.paces.isEmpty)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a copy that begins while a step waits for the volume does not keep it waiting`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await one.step(key) { try shell("head -c 8000000 /dev/urandom > f; sha256sum f > sum", in: $0) }
            let order = try await order(farm, for: "two")
            // It can't be brought before the wait for the lock.
            await farm.coordinator.forget("one")
            let request = [VolumeRequest(key: key, sharing: .locked)]
            let holding = try await one.service.acquire(request, assignment: "a", lock: "a")
            async let step = two.service.acquire(request, assignment: "b", lock: "b")
            while await !farm.coordinator.isAnybodyWaiting() { try await Task.sleep(for: .milliseconds(5)) }
            await one.service.announce(key)
            // Eighty seconds at this pace.
            async let copied = two.service.copy(order, bytesPerSecond: 100_000)
            while await two.service.paces.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            let start = ContinuousClock.now
            try await one.service.release(holding)
            let lease = try await step
            #expect(ContinuousClock.now - start < .seconds(60))
            try shell("sha256sum -c sum > /dev/null", in: lease.paths[0])
            try await two.service.release(lease)
            _ = await copied
            #expect(await two.service.wanted.isEmpty)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `what another agent is bringing from here stays until it is there, though it is removed meanwhile`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await one.step(key) {
                try shell("mkdir d; for i in $(seq 40); do head -c 1000000 /dev/urandom > d/$i; done; sha256sum d/* > sum", in: $0)
            }
            let order = try await order(farm, for: "two")
            // Forty seconds at this pace.
            async let copied = two.service.copy(order, bytesPerSecond: 1_000_000)
            while one.peerServer.places.taken(.copies) == 0 { try await Task.sleep(for: .milliseconds(1)) }
            let directory = one.store.directory(of: key)
            while try !arrives(two) { try await Task.sleep(for: .milliseconds(1)) }
            #expect(await one.service.collect(key))
            #expect(one.store.held().isEmpty)
            await two.service.hurry([key])
            let outcome = await copied
            #expect(outcome.generation == 1 && outcome.error == nil, "\(outcome)")
            try await two.step(key) { try shell("sha256sum -c sum > /dev/null", in: $0) }
            while VolumeFiles.exists(directory) { try await Task.sleep(for: .milliseconds(5)) }
            await one.stop()
            await two.stop()
        }
    }

    /// Whether the first file of a transfer is there.
    private func arrives(_ agent: TestAgent) throws -> Bool {
        let directory = agent.store.directory(of: key)
        guard VolumeFiles.exists(directory) else { return false }
        return try VolumeFiles.names(in: directory).contains { name in
            name.hasPrefix(VolumeStore.stagingPrefix) && (try? VolumeFiles.names(in: "\(directory)/\(name)/d"))?.isEmpty == false
        }
    }

    @Test func `what is read of a volume that was removed is not mixed with one that is made anew`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("echo old > f", in: $0) }
            var snapshot = one.store.snapshot(of: key)
            let old = try #require(snapshot?.layers.first)
            await one.service.drop(key)
            await farm.coordinator.restart(key)
            try await one.step(key) { try shell("test ! -e f; echo new > f", in: $0) }
            let new = try #require(one.store.snapshot(of: key)?.layers.first)
            #expect(old != new)
            try shell("test $(cat '\(old)/f') = old; test $(cat '\(new)/f') = new", in: "/")
            #expect(try snapshot?.manifest().entries.contains { $0.path == Array("f".utf8) } == true)
            snapshot = nil
            while VolumeFiles.exists(old) { try await Task.sleep(for: .milliseconds(5)) }
            try shell("test $(cat '\(new)/f') = new", in: "/")
            await one.stop()
        }
    }

    @Test func `an order to remove leaves what came after it was given`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await one.step(key) { try shell("echo 2 > f", in: $0) }
            await one.service.drop(key, upTo: 1)
            #expect(one.store.generation(of: key) == 2)
            // Also where it is executed while a step uses the volume.
            try await one.step(key) { path in
                await one.service.drop(key, upTo: 1)
                try shell("echo 3 > f", in: path)
            }
            #expect(one.store.generation(of: key) == 3)
            try await one.step(key) { _ in await one.service.drop(key, upTo: 3) }
            #expect(one.store.held().isEmpty)
            try await one.step(VolumeKey.test("new")) { path in
                await one.service.drop(VolumeKey.test("new"), upTo: 7)
                try shell("echo 1 > f", in: path)
            }
            #expect(one.store.generation(of: VolumeKey.test("new")) == 1, "it has nothing of what was removed")
            await one.service.drop(VolumeKey.test("new"), upTo: 1)
            #expect(one.store.held().isEmpty)
            await one.stop()
        }
    }

    @Test func `a pace lets through what it says`() async throws {
        let pace = Pace(bytesPerSecond: 1_000_000)
        let start = ContinuousClock.now
        for _ in 0..<10 { try await pace.pass(20_000) }
        #expect(ContinuousClock.now - start >= .milliseconds(190))
        let none = Pace(bytesPerSecond: 0)
        let second = ContinuousClock.now
        try await none.pass(1 << 40)
        #expect(ContinuousClock.now - second < .seconds(5))
    }

    @Test func `a volume in use is not copied over`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key) { path in
                try await one.step(key) { try shell("echo 2 > f", in: $0) }
                let outcome = await two.service.copy(try await order(farm, for: "two"), bytesPerSecond: 0)
                #expect(outcome.generation == 1 && outcome.error != nil)
                try shell("test $(cat f) = 1", in: path)
            }
            await one.stop()
            await two.stop()
        }
    }
}
