import BlockingIO
import FarmAPI
import Glibc
import Testing

@testable import Volumes

@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct VerificationTests {
    let key = VolumeKey.test()

    private func order(_ farm: TestFarm, for agent: String) async throws -> VerifyOrder {
        VerifyOrder(
            id: "1", key: key, head: await farm.coordinator.head(key), holders: try await farm.coordinator.holders(key, for: agent))
    }

    /// The directory of a layer of the stack; the lowest is 0.
    private func layer(_ agent: TestAgent, _ index: Int) -> String {
        "\(agent.store.directory(of: key))/\(agent.store.layerNames(of: key)[index])"
    }

    private func fill(_ agent: TestAgent) async throws {
        try await agent.step(key) {
            try shell("mkdir d e; echo one > d/file; ln d/file d/hard; ln -s file d/link; mkfifo pipe; echo x > gone", in: $0)
        }
        try await agent.step(key) { try shell("echo two > e/new; rm gone", in: $0) }
        await agent.service.settle()
    }

    @Test func `a volume that is as it should be is sound, and stays as it is`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await fill(one)
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.outcome == .sound && report.damage.isEmpty && report.error == nil)
            #expect(report.generation == 2 && report.left == 2)
            #expect(report.files > 8 && report.bytes == 4 + 4 + 2 + 4)
            #expect(one.store.layerNames(of: key).count == 2)
            await one.stop()
        }
    }

    /// What can happen to a file on a disk, and what is said of it.
    static let damages: [(script: String, path: String, what: String)] = [
        ("printf XXX | dd of=d/file conv=notrunc 2>/dev/null; touch -d @0 d/file", "d/file", "contents"),
        ("t=$(stat -c %y d/file); printf X | dd of=d/file conv=notrunc 2>/dev/null; touch -d \"$t\" d/file", "d/file", "contents"),
        ("rm d/hard", "d/hard", "missing"),
        ("truncate -s 1 d/file", "d/file", "1 bytes instead of 4"),
        ("chmod 600 pipe", "pipe", "mode 600"),
        ("chown 5:6 d", "d", "belongs to 5:6"),
        ("ln -sfn /etc/passwd d/link", "d/link", "points elsewhere"),
        ("rm pipe && mkdir pipe", "pipe", "no pipe"),
        ("echo more > d/more", "d/more", "not of this volume"),
        ("rm -r d", "d", "missing"),
        ("rm d/file && ln -s /etc/passwd d/file", "d/file", "no file"),
    ]

    @Test(arguments: damages.indices)
    func `damage is found by its path, and mended from another holder`(_ number: Int) async throws {
        let (script, path, what) = Self.damages[number]
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await fill(one)
            try await two.step(key)
            try shell(script, in: layer(one, 0))
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.outcome == .repaired && report.left == 2, "\(report)")
            #expect(report.damage.contains { $0.path == path && $0.what.contains(what) }, "\(report.damage)")
            let again = await one.service.verify(try await order(farm, for: "one"))
            #expect(again.outcome == .sound, "\(again)")
            try await one.step(key) { try shell("test $(cat d/hard) = one; test $(cat e/new) = two; test ! -e gone; test -p pipe", in: $0) }
            await one.stop()
            await two.stop()
        }
    }

    @Test func `all that is not damaged stays where it is while the rest is brought, and when that fails`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await fill(one)
            try await one.step(key) { try shell("head -c 3000000 /dev/urandom > d/large", in: $0) }
            await one.service.settle()
            try await two.step(key)
            try shell("echo bad > d/file", in: layer(one, 0))
            func inode() -> ino_t {
                var status = stat()
                for name in one.store.layerNames(of: key) where stat("\(one.store.directory(of: key))/\(name)/d/large", &status) == 0 {
                    return status.st_ino
                }
                return 0
            }
            let before = inode()
            let order = try await order(farm, for: "one")
            await two.stop()
            let failed = await one.service.verify(order)
            #expect(failed.outcome == .damaged && failed.left == 3 && failed.error?.contains("two") == true, "\(failed)")
            #expect(one.store.generation(of: key) == 3)
            #expect(await farm.coordinator.holders(key)["one"] == 3)
            #expect(inode() == before && before != 0)
            let back = try await farm.agent("two")
            let report = await one.service.verify(try await self.order(farm, for: "one"))
            #expect(report.outcome == .repaired && report.left == 3, "\(report)")
            await one.service.settle()
            #expect(inode() == before, "it has neither moved nor been copied")
            #expect(await one.service.verify(try await self.order(farm, for: "one")).outcome == .sound)
            try await one.step(key) {
                try shell("test $(cat d/file) = one; test d/file -ef d/hard; test -e d/large; test $(cat e/new) = two", in: $0)
            }
            let names = try VolumeFiles.names(in: one.store.directory(of: key))
            #expect(!names.contains { $0.hasPrefix(VolumeStore.stagingPrefix) })
            await one.stop()
            await back.stop()
        }
    }

    /// More names than faults are told.
    private func fillWithMany(_ agent: TestAgent) async throws {
        try await fill(agent)
        try await agent.step(key) { try shell("mkdir many; cd many; for i in $(seq 1100); do echo $i > $i; done", in: $0) }
        await agent.service.settle()
        // One layer, which is the base.
        try agent.store.compact(key, mended: [])
        #expect(agent.store.layerCount(of: key) == 1)
    }

    @Test(arguments: ["cp -r layer copy; rm -r layer; mv copy layer", "chown -R 7:8 layer", "chmod -R u=rwX,go= layer"])
    func `files that have lost their owners, modes and times are mended by themselves`(script: String) async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await fillWithMany(one)
            let base = layer(one, 0)
            let before = try listing(base)
            let name = String(base.split(separator: "/").last ?? "")
            try shell(script.replacing("layer", with: name), in: one.store.directory(of: key))
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.outcome == .repaired && report.left == 3, "\(report.outcome) \(report.error ?? "")")
            #expect(report.damage.count > 10)
            await one.service.settle()
            #expect(await one.service.verify(try await order(farm, for: "one")).outcome == .sound)
            #expect(try listing(layer(one, 0)) == before)
            await one.stop()
        }
    }

    @Test func `much that is damaged stays until it can be had, and is mended then`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await fillWithMany(one)
            try await two.step(key)
            await two.service.settle()
            try shell("for i in $(seq 1050); do echo bad > many/$i; done", in: layer(one, 0))
            let order = try await order(farm, for: "one")
            await two.stop()
            let failed = await one.service.verify(order)
            #expect(failed.outcome == .damaged && failed.left == 3, "\(failed.outcome) \(failed.error ?? "")")
            #expect(await farm.coordinator.holders(key)["one"] == 3)
            let back = try await farm.agent("two")
            let report = await one.service.verify(try await self.order(farm, for: "one"))
            #expect(report.outcome == .repaired && report.left == 3, "\(report.outcome) \(report.error ?? "")")
            try await one.step(key) { try shell("cd many; for i in $(seq 1100); do test $(cat $i) = $i; done", in: $0) }
            await one.stop()
            await back.stop()
        }
    }

    @Test func `what is damaged wherever it is goes everywhere`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await fill(one)
            try await two.step(key)
            await two.service.settle()
            for agent in [one, two] { try shell("echo bad > d/file", in: layer(agent, 0)) }
            for agent in [one, two] {
                let report = await agent.service.verify(try await order(farm, for: agent.name))
                #expect(report.outcome == .dropped && report.left == 0, "\(report)")
            }
            #expect(await farm.coordinator.holders(key).isEmpty)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `what is not of the volume goes without anybody's help`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await fill(one)
            try shell("echo more > d/more; chmod 700 e", in: layer(one, 0))
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.outcome == .repaired && report.left == 2, "\(report)")
            try await one.step(key) { try shell("test ! -e d/more; test $(stat -c %a e) = 755; test $(cat e/new) = two", in: $0) }
            await one.stop()
        }
    }

    @Test func `what nobody else has is removed from the damaged layer on, and never served`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await fill(one)
            try shell("echo bad > e/new", in: layer(one, 1))
            // This one's contents are right.
            try shell("chmod 600 d/file", in: layer(one, 0))
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.outcome == .dropped && report.left == 1, "\(report)")
            let reason = try #require(report.error)
            #expect(reason.contains("has generation 2") && !reason.contains("is used"), "no step asks: \(reason)")
            #expect(await farm.coordinator.holders(key) == ["one": 1])
            let lease = try await two.step(key) { try shell("test -e gone; test $(cat d/file) = one; test ! -e e/new", in: $0) }
            #expect(lease.notes.contains { $0.contains("generation 1 is used") }, "\(lease.notes)")
            // The history goes on from what is left.
            try await two.step(key) { try shell("echo three > e/three", in: $0) }
            #expect(await farm.coordinator.head(key) == 3)
            try await one.step(key) { try shell("test $(cat e/three) = three", in: $0) }
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a damaged base that nobody else has takes the volume with it`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await fill(one)
            try shell("rm d/file d/hard", in: layer(one, 0))
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.outcome == .dropped && report.left == 0)
            #expect(one.store.held().isEmpty)
            try await untilGone(one.store.directory(of: key))
            #expect(await farm.coordinator.holders(key).isEmpty)
            await one.stop()
        }
    }

    @Test func `a verification that nobody waits for any more reads no further`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("echo 1 > f", in: $0) }
            let order = VerifyOrder(id: "1", key: key, head: 1, holders: [])
            let report = await Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await one.service.verify(order)
            }.value
            #expect(report.outcome == .unverified && report.files == 0)
            let snapshot = try #require(one.store.snapshot(of: key))
            let interruption = Interruption()
            interruption.interrupt()
            #expect(throws: CancellationError.self) { try one.store.check(snapshot, interruption) }
            await one.stop()
        }
    }

    @Test func `a whiteout that is lost is damage`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await fill(one)
            try shell("rm gone && echo x > gone", in: layer(one, 1))
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.damage.contains { $0.path == "gone" && $0.what.contains("deleted") }, "\(report.damage)")
            await one.stop()
        }
    }

    @Test func `a manifest that can't be read is damage`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await fill(one)
            try shell("printf X | dd of=\(layer(one, 1)).manifest bs=1 seek=9 conv=notrunc 2>/dev/null", in: "/")
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.outcome == .dropped && report.left == 1, "\(report)")
            await one.stop()
        }
    }

    @Test func `nothing is taken from under a step`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await fill(one)
            try await one.step(key) { path in
                try shell("echo bad > e/new", in: layer(one, 1))
                let report = await one.service.verify(try await order(farm, for: "one"))
                #expect(report.outcome == .damaged && report.error?.contains("step") == true, "\(report)")
                try shell("test $(cat d/file) = one", in: path)
            }
            let report = await one.service.verify(try await order(farm, for: "one"))
            #expect(report.outcome == .dropped && report.left == 1, "\(report)")
            await one.stop()
        }
    }
}
