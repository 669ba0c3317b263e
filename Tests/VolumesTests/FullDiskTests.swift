import FarmAPI
import Glibc
import Synchronization
import Testing
import TreeSync

@testable import Volumes

/// A disk that is full at the wrong moment: a small tmpfs under an agent's volumes.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(3)))
struct FullDiskTests {
    let key = VolumeKey.test()

    /// Runs with two agents, the second of which has a disk of so many megabytes.
    private func withSmallDisk(_ megabytes: Int, _ body: (TestAgent, TestAgent, _ disk: String) async throws -> Void) async throws {
        try await TestFarm.with { farm in
            let disk = "\(farm.directory)/two"
            mkdir(disk, 0o700)
            try #require(mount("tmpfs", disk, "tmpfs", 0, "size=\(megabytes)m") == 0)
            do {
                let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
                try await body(one, two, disk)
                await one.stop()
                await two.stop()
            } catch {
                umount2(disk, Int32(MNT_DETACH))
                throw error
            }
            // What the agents did in the background ends soon after them.
            let end = ContinuousClock.now + .seconds(20)
            while umount2(disk, 0) != 0 {
                guard errno == EBUSY, ContinuousClock.now < end else {
                    umount2(disk, Int32(MNT_DETACH))
                    Issue.record("something still uses the disk")
                    return
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func names(_ agent: TestAgent) throws -> [String] { try VolumeFiles.names(in: agent.store.directory(of: key)) }

    @Test func `that the disk is full is said without the file with which it became so`() {
        let errors: [any Error] = [
            VolumeError.system(operation: "opening", path: "/var/lib/farm/blocks/tmp-1", code: ENOSPC),
            TreeSyncError.system(operation: "writing", path: "a/file", code: EDQUOT),
        ]
        for error in errors { #expect("\(error)" == "the disk of this agent is full: give it more room") }
    }

    @Test func `what does not fit is refused before it is sent, leaves the old generation, and comes when there is room`() async throws {
        try await withSmallDisk(6) { one, two, disk in
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            var expected: TreeDump?
            try await one.step(key) { path in
                try shell("echo 2 > f; mkdir d; for i in $(seq 10); do head -c 1000000 /dev/urandom > d/$i; done", in: path)
                expected = try TreeDump(path)
            }
            // The agent is told, so that the stage goes to another one; nobody goes on with an old generation as if there were no newer one.
            await #expect(throws: VolumeError.self) { try await two.step(key) }
            #expect(two.store.generation(of: key) == 1)
            #expect(try !names(two).contains { $0.hasPrefix(VolumeStore.stagingPrefix) || $0.hasPrefix(KeptTransfers.prefix) })
            let asked = Mutex<[Int64]>([])
            await two.service.onShortage { bytes in
                asked.withLock { $0.append(bytes) }
                #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), "size=64m") == 0)
            }
            try await two.step(key) { path in
                let now = try TreeDump(path)
                #expect(expected.flatMap { now.difference(from: $0) } == nil)
            }
            #expect(asked.withLock { $0 } == [10_000_002])
            #expect(two.store.generation(of: key) == 2)
            #expect(try !names(two).contains { $0.hasPrefix(VolumeStore.stagingPrefix) })
        }
    }

    @Test func `a step that fills the disk loses what it wrote, and nothing else`() async throws {
        try await withSmallDisk(6) { one, two, _ in
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            await two.service.settle()
            let before = try names(two)
            for _ in 0..<2 {
                // To the last byte: the first file leaves less than a block, the next ones take the inodes' memory.
                await #expect(throws: (any Error).self) {
                    try await two.step(key) { path in
                        try shell(
                            "dd if=/dev/zero of=fill bs=4096 2>/dev/null || true; for i in $(seq 2000); do : > x$i || break; done 2>/dev/null; true",
                            in: path)
                    }
                }
                #expect(two.store.generation(of: key) == 1)
                #expect(try names(two) == before)
            }
            try await two.step(key) { try shell("test $(cat f) = 1; test ! -e fill; echo 2 > g", in: $0) }
            try await one.step(key) { try shell("test $(cat g) = 2; test $(cat f) = 1", in: $0) }
        }
    }

    @Test func `what others published stays when the disk has no room for it, and what the step wrote is given up`() async throws {
        try await withSmallDisk(6) { one, two, disk in
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            let asked = Mutex<[Int64]>([])
            await two.service.onShortage { bytes in asked.withLock { $0.append(bytes) } }
            let lease = try await two.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "a")
            try shell("echo 2 > g", in: lease.paths[0])
            try await one.step(key) {
                try shell("mkdir d; for i in $(seq 10); do head -c 1000000 /dev/urandom > d/$i; done", in: $0)
            }
            let error = await #expect(throws: NotSaved.self) { try await two.service.release(lease) }
            #expect(error?.notes.contains { $0.contains("not saved") && $0.contains("more room") } == true, "\(error?.notes ?? [])")
            #expect(asked.withLock { $0 } == [10_000_000])
            #expect(await one.farm.coordinator.head(key) == 2)
            #expect(await one.farm.coordinator.isLocked(key) == false)
            try await one.step(key) { try shell("test $(ls d | wc -l) = 10; test ! -e g", in: $0) }
            #expect(try !names(two).contains { $0.hasPrefix(VolumeStore.stagingPrefix) })
            // With room it is as ever: both sides' files are there.
            #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), "size=64m") == 0)
            try await two.step(key) { path in
                try await one.step(key) { try shell("echo 3 > h; head -c 1000000 /dev/urandom > d/11", in: $0) }
                try shell("echo 3 > i", in: path)
            }
            try await one.step(key) { try shell("test $(ls d | wc -l) = 11; test -e h; test -e i", in: $0) }
        }
    }

    @Test func `what others published comes in the room that is made for it, and nothing is lost`() async throws {
        try await withSmallDisk(6) { one, two, disk in
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            await two.service.onShortage { _ in
                #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), "size=64m") == 0)
            }
            try await two.step(key) { path in
                try shell("echo 2 > g", in: path)
                try await one.step(key) {
                    try shell("mkdir d; for i in $(seq 10); do head -c 1000000 /dev/urandom > d/$i; done", in: $0)
                }
            }
            #expect(await one.farm.coordinator.head(key) == 3)
            try await one.step(key) { try shell("test $(ls d | wc -l) = 10; test -e g", in: $0) }
        }
    }

    @Test func `a disk that fills up while the coordinator numbers a generation takes nothing from it`() async throws {
        try await withSmallDisk(6) { one, two, disk in
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            await two.service.settle()
            await one.farm.coordinator.setBeforePublish { _ in
                _ = try? shell(
                    "dd if=/dev/zero of=fill bs=4096 2>/dev/null || true; for i in $(seq 2000); do : > x$i || break; done 2>/dev/null",
                    in: disk)
            }
            try await two.step(key) { try shell("echo 2 > g", in: $0) }
            await one.farm.coordinator.setBeforePublish(nil)
            #expect(await one.farm.coordinator.holders(key) == ["one": 1, "two": 2])
            try await one.step(key) { try shell("test $(cat f) = 1; test $(cat g) = 2", in: $0) }
            try shell("rm -f fill x*", in: disk)
            try await two.step(key) { try shell("test $(cat g) = 2; echo 3 > h", in: $0) }
            #expect(try !names(two).contains { $0.hasPrefix(VolumeStore.stagingPrefix) })
        }
    }

    @Test func `an agent that starts anew with a full disk removes first what fills it`() async throws {
        try await withSmallDisk(6) { one, two, disk in
            for round in 1...2 {
                try await one.step(key) { try shell("echo \(round) > f", in: $0) }
                try await two.step(key)
            }
            await two.service.settle()
            try shell("sed -i 's/\"boot\":\"[^\"]*\"/\"boot\":\"another\"/' state*", in: two.store.directory(of: key))
            // A step's that was running when the power went.
            let staging = try two.store.makeStaging(of: key)
            try shell(
                "dd if=/dev/zero of=fill bs=4096 2>/dev/null || true; for i in $(seq 2000); do : > x$i || break; done 2>/dev/null; true",
                in: staging)
            let again = try VolumeStore(directory: disk)
            #expect(again.held() == [HeldVolume(key: key, generation: 2)])
            #expect(access(staging, F_OK) != 0)
            let state = String(decoding: try VolumeFiles.read("\(again.directory(of: key))/state", upTo: 1 << 20), as: UTF8.self)
            #expect(!state.contains("another"))
        }
    }

    @Test func `a generation that could not be stored after it got its number is nobody's head, and the history goes on`() async throws {
        try await withSmallDisk(6) { one, two, disk in
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await two.step(key)
            await two.service.settle()
            await one.farm.coordinator.setBeforePublish { _ in
                #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0)
            }
            await #expect(throws: NotSaved.self) { try await two.step(key) { try shell("echo 2 > g", in: $0) } }
            await one.farm.coordinator.setBeforePublish(nil)
            #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), nil) == 0)
            #expect(await one.farm.coordinator.holders(key) == ["one": 1, "two": 1])
            try await one.step(key) { try shell("test ! -e g; echo 3 > h", in: $0) }
            #expect(await one.farm.coordinator.head(key) == 3)
            for agent in [one, two] { try await agent.step(key) { try shell("test -e f; test -e h; test ! -e g", in: $0) } }
        }
    }
}
