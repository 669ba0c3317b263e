import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

/// Volumes without a generation in common, over TLS.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct ComparisonTests {
    let key = VolumeKey.test()

    /// Two agents; the second one's generation is one that the others' history does not have.
    private func diverged(_ farm: TestFarm, _ fill: String, lost: String) async throws -> (one: TestAgent, two: TestAgent) {
        let one = try await farm.agent("one")
        let two = try await farm.agent("two")
        try await one.step(key) { try shell(fill, in: $0) }
        try await two.step(key)
        // Published, and then nobody reaches the publisher.
        try await two.step(key) { try shell(lost, in: $0) }
        await two.stop()
        await farm.coordinator.forget("two")
        return (one, two)
    }

    private let fill = """
        for d in $(seq 20); do mkdir -p d$d; for f in $(seq 50); do echo "$d $f" > d$d/f$f; done; done
        mkdir deep; mkdir -p deep/a/b/c; echo x > deep/a/b/c/x; head -c 200000 /dev/urandom > big
        """

    @Test func `an agent whose generation nobody knows is told what differs from its own tree, and nothing else`() async throws {
        try await TestFarm.with { farm in
            let (one, _) = try await diverged(farm, fill, lost: "echo lost > lost; rm -r d7; echo y > deep/a/b/c/y")
            var expected = ""
            try await one.step(key) { path in
                try shell("echo new > d3/new; rm d4/f4; mv d5 moved; chmod 700 d6; echo z > d8/f8; mkdir -p n/m; echo 1 > n/m/o", in: path)
                expected = try listing(path)
            }
            await one.service.settle()
            #expect(one.store.generation(of: key) == 3)
            let back = try await farm.agent("two")
            #expect(back.store.generation(of: key) == 2)
            let lease = try await back.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(lease.notes.isEmpty)
            // Fifty names of d7 with their digests and contents, fifty fingerprints for each of the directories that differ.
            #expect(lease.bytesReceived < 9000)
            #expect(back.store.generation(of: key) == 3)
            await one.stop()
            await back.stop()
        }
    }

    @Test func `a volume that was removed and made anew is built upon what is still here`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("head -c 3000000 /dev/urandom > big; cp -p big ../keep", in: $0) }
            try await one.step(key) { try shell("echo 2 > f", in: $0) }
            try await two.step(key)
            #expect(two.store.generation(of: key) == 2)
            // Made anew by the first agent with the same content, and the second one was not there to hear of it.
            await farm.coordinator.restart(key)
            await one.service.drop(key)
            try await one.step(key) { path in
                try shell("cp -p $(find '\(farm.directory)/two' -name big | head -1) big; echo 3 > g", in: path)
            }
            #expect(one.store.generation(of: key) == 1)
            let lease = try await two.step(key) { try shell("test $(stat -c %s big) = 3000000; test -e g; test ! -e f", in: $0) }
            #expect(lease.bytesReceived < 10_000, "the large file is here")
            #expect(two.store.generation(of: key) == 1)
            // And where nobody can be asked, an old tree of another history is nobody's.
            await farm.coordinator.restart(key)
            await one.service.drop(key)
            try await one.step(key) { try shell("echo 1 > first", in: $0) }
            await farm.coordinator.restart(key)
            try await two.step(key) { try shell("test $(ls | wc -l) = 0", in: $0) }
            await one.stop()
            await two.stop()
        }
    }
}
