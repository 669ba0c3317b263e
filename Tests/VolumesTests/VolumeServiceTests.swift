import BuildPlan
import FarmAPI
import Glibc
import Synchronization
import Testing
import TreeSync

@testable import Volumes

@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct VolumeServiceTests {
    let key = VolumeKey.test()

    @Test func `steps of one agent that share a volume see each other's files`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let a = try await one.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "a")
            let b = try await one.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "b", lock: "b")
            #expect(a.paths == b.paths)
            try shell("echo 1 > from-a", in: a.paths[0])
            try await one.service.release(a)
            #expect(await farm.coordinator.head(key) == 0, "the mount is still in use")
            try shell("test -e from-a; echo 2 > from-b", in: b.paths[0])
            try await one.service.release(b)
            #expect(await farm.coordinator.head(key) == 1)
            #expect(access(a.paths[0], F_OK) != 0, "nothing is left of the mount")
            await one.stop()
        }
    }

    @Test func `a step that asks while another of its agent publishes has what that one wrote`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("echo 1 > first", in: $0) }
            let next = Mutex<Task<VolumeLease, any Error>?>(nil)
            await farm.coordinator.setBeforePublish { [key] _ in
                let request = VolumeRequest(key: key, sharing: .shared)
                next.withLock { $0 = Task { try await one.service.acquire([request], assignment: "b", lock: "b") } }
                // It has been told of the generation before, and waits for the publication's end.
                while await !one.service.isAnybodyWaiting(for: key) { try? await Task.sleep(for: .milliseconds(2)) }
            }
            try await one.step(key) { try shell("echo 2 > second", in: $0) }
            await farm.coordinator.setBeforePublish(nil)
            let lease = try await #require(next.withLock { $0 }).value
            try shell("test $(cat first) = 1; test $(cat second) = 2; echo 3 > third", in: lease.paths[0])
            #expect(lease.notes.isEmpty)
            try await one.service.release(lease)
            try await one.step(key) { try shell("test $(cat first)$(cat second)$(cat third) = 123", in: $0) }
            #expect(await farm.coordinator.head(key) == 3)
            await one.stop()
        }
    }

    @Test func `a volume comes though its grant ended before it was its turn`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            var settings = VolumeSettings()
            settings.grantAge = .zero
            let two = try await farm.agent("two", settings: settings)
            await farm.coordinator.setExpires(Timestamp(seconds: 1))
            // Neither the first answer nor that with the lock: what it asks for when it was refused.
            let questions = Mutex(0)
            await farm.coordinator.setAfterLocate {
                let count = questions.withLock { count in
                    count += 1
                    return count
                }
                if count == 2 { await farm.coordinator.setExpires(Timestamp(seconds: 4_000_000_000)) }
            }
            let lease = try await two.step(key) { try shell("test $(cat f) = 1", in: $0) }
            #expect(lease.notes.isEmpty)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a new volume has the root's mode and owner and the seed, and is published only when something is in it`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            let seed = "\(farm.directory)/seed"
            mkdir(seed, 0o755)
            try shell("mkdir d; echo s > d/f; ln -s d l", in: seed)
            let calls = Mutex(0)
            func request() -> VolumeRequest {
                VolumeRequest(
                    key: key, sharing: .shared, mode: 0o1750, uid: 7, gid: 8,
                    seed: {
                        calls.withLock { $0 += 1 }
                        return seed
                    })
            }
            let other = VolumeRequest(key: .test("empty"), sharing: .locked, mode: 0o700)
            for (index, agent) in [one, two].enumerated() {
                let lease = try await agent.service.acquire([request(), other], assignment: "a", lock: "l\(index)")
                try shell("test $(stat -c %a:%u:%g .) = 1750:7:8; test $(cat l/f) = s; test $(ls | wc -l) = 2", in: lease.paths[0])
                try shell("test $(stat -c %a .) = 700; test -z \"$(ls)\"", in: lease.paths[1])
                try await agent.service.release(lease)
            }
            #expect(calls.withLock { $0 } == 1)
            #expect(await farm.coordinator.head(key) == 1)
            #expect(await farm.coordinator.head(.test("empty")) == 0)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `what a volume can't keep of its seed is left out, and the step is told`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let seed = "\(farm.directory)/seed"
            mkdir(seed, 0o755)
            try shell("mkdir dev; mknod dev/null c 1 3; echo s > dev/f", in: seed)
            let lease = try await one.step(key, seed: { seed }) { try shell("test $(cat dev/f) = s; test $(ls dev | wc -l) = 1", in: $0) }
            #expect(lease.notes.count == 1 && lease.notes.allSatisfy { $0.contains("dev/null") && $0.contains("volume \(key.id)") })
            await one.stop()
        }
    }

    @Test func `a fork and a fresh volume are thrown away`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key, sharing: .private) { try shell("echo 1 > f", in: $0) }
            let first = try await one.service.acquire([VolumeRequest(key: key, sharing: .private)], assignment: "a", lock: "a")
            let second = try await one.service.acquire([VolumeRequest(key: key, sharing: .private)], assignment: "b", lock: "b")
            #expect(first.paths != second.paths)
            try shell("test -e f; echo 2 > second", in: second.paths[0])
            try shell("test ! -e second; echo 1 > first", in: first.paths[0])
            try await one.service.release(second)
            try await one.service.release(first)
            try await one.step(key, fresh: true) { try shell("test -z \"$(ls)\"; echo x > fresh", in: $0) }
            try await one.step(key) { try shell("test -e first; test ! -e second; test ! -e fresh", in: $0) }
            #expect(await farm.coordinator.head(key) == 2)
            await one.stop()
        }
    }

    @Test func `nothing takes a volume from under a step that has an empty one or a copy of its own`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("mkdir d; echo 1 > d/f", in: $0) }
            // Of an empty one nobody else knows.
            try await one.step(key, fresh: true) { path in
                try shell("mkdir d; echo mine > d/mine", in: path)
                #expect(await one.service.collect(key))
                try await untilGone(one.store.directory(of: key))
                try shell("test $(cat d/mine) = mine; echo more > d/more", in: path)
            }
            await farm.coordinator.restart(key)
            try await one.step(key) { try shell("mkdir d; echo 2 > d/f", in: $0) }
            let request = [VolumeRequest(key: key, sharing: .private)]
            let first = try await one.service.acquire(request, assignment: "a", lock: "a")
            var fork: VolumeLease? = try await one.service.acquire(request, assignment: "b", lock: "b")
            try await one.service.release(first)
            #expect(await !one.service.collect(key))
            await one.service.drop(key)
            try shell("test $(cat d/f) = 2; echo 3 > d/g", in: try #require(fork).paths[0])
            #expect(one.store.generation(of: key) == 1)
            try await one.service.release(try #require(fork))
            fork = nil
            try await untilGone(one.store.directory(of: key))
            let left = try VolumeFiles.names(in: "\(one.store.directory)/scratch")
            #expect(left.isEmpty)
            await one.stop()
        }
    }

    @Test func `a locked volume waits for the other agent, which has published when it comes`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            let first = try await one.service.acquire([VolumeRequest(key: key, sharing: .locked)], assignment: "a", lock: "a")
            async let second = two.service.acquire([VolumeRequest(key: key, sharing: .locked)], assignment: "b", lock: "b")
            while await !farm.coordinator.isAnybodyWaiting() { try await Task.sleep(for: .milliseconds(5)) }
            try shell("echo 1 > f", in: first.paths[0])
            try await one.service.release(first)
            let lease = try await second
            try shell("test -e f", in: lease.paths[0])
            #expect(lease.bytesReceived > 0)
            #expect(lease.notes.isEmpty)
            try await two.service.release(lease)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a step that has lost its lock publishes nothing, and the next on its agent does not see what it wrote`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key, sharing: .locked) { try shell("echo 1 > f", in: $0) }
            let request = [VolumeRequest(key: key, sharing: .locked)]
            let lost = try await one.service.acquire(request, assignment: "a", lock: "lost")
            try shell("echo half > f; touch half", in: lost.paths[0])
            await farm.coordinator.expire("lost")
            let (service, coordinator, key) = (one.service, farm.coordinator, key)
            let next = Task { try await service.acquire(request, assignment: "b", lock: "next") }
            // It has the lock, and waits for the end of the step that had it.
            while await !coordinator.isLocked(key) { await Task.yield() }
            try await one.service.release(lost)
            let lease = try await next.value
            try shell("test $(cat f) = 1; test ! -e half; echo 2 > f", in: lease.paths[0])
            try await one.service.release(lease)
            try await one.step(key) { try shell("test $(cat f) = 2; test ! -e half", in: $0) }
            #expect(await farm.coordinator.head(key) == 2)
            await one.stop()
        }
    }

    @Test func `a step that is cancelled while it waits leaves no lock and no mount`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let key = key
            let first = try await one.service.acquire([VolumeRequest(key: key, sharing: .locked)], assignment: "a", lock: "a")
            let waiting = Task {
                try await one.service.acquire([VolumeRequest(key: key, sharing: .locked)], assignment: "b", lock: "b")
            }
            while await !farm.coordinator.isAnybodyWaiting() { try await Task.sleep(for: .milliseconds(5)) }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            #expect(await farm.coordinator.releases == ["b"])
            try await one.service.release(first)
            #expect(await !farm.coordinator.isLocked(key))
            await one.stop()
        }
    }

    @Test func `a volume that is removed while it is being merged is gone`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            for _ in 0..<3 {
                for round in 0...VolumeStore.layerLimit {
                    try await one.step(key) {
                        try shell("mkdir -p d\(round); for i in $(seq 200); do echo $i > d\(round)/$i; done", in: $0)
                    }
                    if round < VolumeStore.layerLimit { await one.service.settle() }
                }
                await one.service.drop(key)
                #expect(access(one.store.directory(of: key), F_OK) != 0)
                await one.service.settle()
                #expect(access(one.store.directory(of: key), F_OK) != 0, "nothing makes it anew")
                await farm.coordinator.restart(key)
            }
            await one.stop()
        }
    }

    @Test func `an acquisition that fails undoes what it did`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            struct NoSeed: Error {}
            let requests = [
                VolumeRequest(key: key, sharing: .shared), VolumeRequest(key: .test("b"), sharing: .locked, seed: { throw NoSeed() }),
            ]
            await #expect(throws: NoSeed.self) { try await one.service.acquire(requests, assignment: "a", lock: "a") }
            #expect(await !farm.coordinator.isLocked(key))
            #expect(try mounts(in: farm.directory).isEmpty)
            await #expect(throws: VolumeError.self) {
                try await one.service.acquire([requests[0], requests[0]], assignment: "a", lock: "b")
            }
            await one.stop()
        }
    }

    @Test func `a volume that was removed meanwhile is dropped`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            try await one.step(key) { path in
                try shell("echo 2 > f", in: path)
                await farm.coordinator.remove(key)
            }
            #expect(one.store.generation(of: key) == 0)
            #expect(one.store.held().isEmpty)
            try await untilGone(one.store.directory(of: key))
            await one.stop()
        }
    }

    @Test func `a volume that is dropped while it is in use goes when its last user leaves`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { path in
                try shell("echo 1 > f", in: path)
                await one.service.drop(key)
                try shell("test -e f", in: path)
            }
            try await untilGone(one.store.directory(of: key))
            #expect(await farm.coordinator.head(key) == 0)
            await one.stop()
        }
    }

    @Test func `many generations are merged and stay what they are`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("for i in $(seq 300); do mkdir -p d$((i%7)); echo $i > d$((i%7))/f$i; done", in: $0) }
            try await two.step(key)
            var expected = ""
            for round in 0..<40 {
                try await one.step(key) { path in
                    try shell(
                        "echo \(round) > d\(round % 7)/r\(round); rm d\((round + 1) % 7)/f\(round + 1); rm -rf e; mkdir e; echo \(round) > e/\(round)",
                        in: path)
                    expected = try listing(path)
                }
                await one.service.settle()
            }
            #expect(one.store.layerCount(of: key) <= VolumeStore.layerLimit)
            try await one.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            let again = try VolumeStore(directory: "\(farm.directory)/one")
            #expect(again.held() == [HeldVolume(key: key, generation: 41)])
            await one.stop()
            await two.stop()
        }
    }

    private func mounts(in directory: String) throws -> [String] {
        let file = "/tmp/mounts-\(UInt64.random(in: .min ... .max))"
        defer { unlink(file) }
        try shell("cat /proc/self/mounts > \(file)", in: "/")
        let text = String(decoding: try VolumeFiles.read(file, upTo: 16 << 20), as: UTF8.self)
        return text.split(separator: "\n").map(String.init).filter { $0.contains(directory) }
    }

    @Test func `a step that is cancelled does not wait for another's transfer of the same volume`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("echo first > file", in: $0) }
            let two = try await farm.agent("two")
            let (transfers, end) = AsyncStream<Void>.makeStream()
            let service = two.service
            let (begun, begins) = AsyncStream<Void>.makeStream()
            let other = Task { [key] in
                await service.locked(key) {
                    begins.yield()
                    for await _ in transfers {}
                }
            }
            for await _ in begun { break }
            let cancelled = Task { [key] in try await two.step(key) }
            let waiting = Task { [key] in try await two.step(key) { try shell("grep first file", in: $0) } }
            try await Task.sleep(for: .milliseconds(50))
            cancelled.cancel()
            // Ends while the other goes on, else the test's time limit ends it.
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            end.finish()
            await other.value
            #expect(try await waiting.value.notes.isEmpty, "who waits behind it gets its turn")
            await one.stop()
            await two.stop()
        }
    }
}
