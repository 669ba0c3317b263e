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
