import FarmAPI
import Glibc
import Synchronization
import Testing

@testable import Volumes

/// Publishing while others publish, or can't be reached: nobody's files are given up for another's.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct PublicationTests {
    let key = VolumeKey.test()

    private func acquire(_ agent: TestAgent) async throws -> VolumeLease {
        try await agent.service.acquire(
            [VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "\(UInt64.random(in: .min ... .max))")
    }

    /// Two agents at generation 1, a step on the second that has written, and generation 2 by the first, which then is stopped.
    private func withStoppedHolder(
        of farm: TestFarm, settings: VolumeSettings = VolumeSettings(), _ body: (TestAgent, VolumeLease) async throws -> Void
    ) async throws {
        let (one, two) = (try await farm.agent("one"), try await farm.agent("two", settings: settings))
        try await one.step(key) { try shell("echo 1 > f", in: $0) }
        try await two.step(key)
        let lease = try await acquire(two)
        try shell("echo two > two", in: lease.paths[0])
        try await one.step(key) { try shell("echo one > one", in: $0) }
        await one.stop()
        try await body(two, lease)
        await two.stop()
    }

    @Test func `a holder that starts again while another agent publishes loses nothing`() async throws {
        try await TestFarm.with { farm in
            try await withStoppedHolder(of: farm) { two, lease in
                let back = Mutex<TestAgent?>(nil)
                let asked = Mutex(0)
                await farm.coordinator.setBeforePublish { _ in
                    // The first attempt has found nobody.
                    guard
                        asked.withLock({ count in
                            count += 1
                            return count == 2
                        })
                    else { return }
                    let agent = try? await farm.agent("one")
                    back.withLock { $0 = agent }
                }
                let notes = try await two.service.release(lease)
                #expect(notes.isEmpty)
                #expect(await farm.coordinator.head(key) == 3)
                let one = try #require(back.withLock { $0 })
                for agent in [two, one] { try await agent.step(key) { try shell("test -e f; test -e one; test -e two", in: $0) } }
                await one.stop()
            }
        }
    }

    @Test func `a step's change is given up rather than a head that can't be brought from whom the coordinator can reach`() async throws {
        try await TestFarm.with { farm in
            var settings = VolumeSettings()
            settings.holderPatience = .milliseconds(500)
            try await withStoppedHolder(of: farm, settings: settings) { two, lease in
                let error = await #expect(throws: NotSaved.self) { try await two.service.release(lease) }
                #expect(error?.notes.contains { $0.contains("cache") && $0.contains("not saved") && $0.contains("one") } == true)
                #expect(await farm.coordinator.head(key) == 2)
                #expect(await farm.coordinator.isLocked(key) == false)
                let one = try await farm.agent("one")
                for agent in [two, one] { try await agent.step(key) { try shell("test -e one; test ! -e two", in: $0) } }
                await one.stop()
            }
        }
    }

    @Test func `who asks for a generation that is long in getting into place comes back for it, and it is not taken for lost`() async throws
    {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one", publicationPatience: .zero), try await farm.agent("two"))
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            let refusals = Mutex<[any Error]>([])
            await farm.coordinator.setAfterPublish { _ in
                do {
                    _ = try await two.peers.changes(
                        from: try await farm.coordinator.holders(key, for: "two")[0], key: key, known: 0, wanted: 2)
                } catch { refusals.withLock { $0.append(error) } }
                await one.service.announce(key)
            }
            try await one.step(key) { try shell("echo 2 > g", in: $0) }
            await farm.coordinator.setAfterPublish(nil)
            #expect(refusals.withLock { $0.map { ($0 as? VolumeError)?.isBusyPeer } } == [true])
            #expect(await farm.coordinator.holders(key) == ["one": 2])
            try await two.step(key) { try shell("test $(cat g) = 2", in: $0) }
            await one.stop()
            await two.stop()
        }
    }

    @Test func `what was told of a volume before a publication and comes after it is corrected`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            // A hello that the coordinator reads when it has numbered the next generation, which is not in place yet.
            let hello = await one.service.introduce()
            await farm.coordinator.setAfterPublish { _ in
                var change = HoldingsChange()
                change.volumes = hello
                await farm.coordinator.change(change, by: "one")
                await one.service.welcomed()
            }
            try await one.step(key) { try shell("echo 2 > g", in: $0) }
            #expect(await farm.coordinator.holders(key) == ["one": 2])
            // The report of a copy or a verification that comes after the whole publication.
            await farm.coordinator.setAfterPublish(nil)
            try await one.service.tell(key) { generation in
                try await one.step(key) { try shell("echo 3 > g", in: $0) }
                var change = HoldingsChange()
                change.volumes = [HeldVolume(key: key, generation: generation)]
                await farm.coordinator.change(change, by: "one")
            }
            #expect(await farm.coordinator.holders(key) == ["one": 3])
            await one.stop()
        }
    }

    @Test func `what is not kept is told to who builds`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            var lease = try await acquire(one)
            try shell("for i in 1 2 3 4 5 6 7; do mknod dev$i c 1 3; done; echo kept > f", in: lease.paths[0])
            let notes = try await one.service.release(lease)
            #expect(notes.count == 1 && notes[0].contains("dev1") && notes[0].contains("and 2 more"), "\(notes)")
            lease = try await acquire(one)
            try shell("test $(ls) = f; echo lost > g", in: lease.paths[0])
            await farm.coordinator.remove(key)
            let last = try await one.service.release(lease)
            #expect(last.count == 1 && last[0].contains("removed"), "\(last)")
            await one.stop()
        }
    }

    @Test func `a step that has lost its lock says that nothing is saved`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let lease = try await one.service.acquire([VolumeRequest(key: key, sharing: .locked)], assignment: "a", lock: "lost")
            try shell("echo 1 > f", in: lease.paths[0])
            await farm.coordinator.expire("lost")
            let notes = try await one.service.release(lease)
            #expect(notes.count == 1 && notes[0].contains("thrown away") && notes[0].contains("lock"), "\(notes)")
            await one.stop()
        }
    }
}
