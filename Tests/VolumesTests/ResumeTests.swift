import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

/// Transfers that are cut, over TLS through a proxy that cuts them.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct ResumeTests {
    let key = VolumeKey.test()
    /// Four megabytes that do not compress, in files of a hundred kilobytes.
    private let fill =
        "mkdir d; for i in $(seq 40); do head -c 100000 /dev/urandom > d/f$i; done; ln d/f3 hard"
    private let whole = 4_000_000
    /// Connections that don't get through their handshake: more than anybody tries.
    private let dead = [Int](repeating: 100, count: 100)

    private func holder(_ farm: TestFarm, behind budgets: [Int], flips: Bool = false) async throws -> (
        TestAgent, CuttingProxy, direct: String, String
    ) {
        let one = try await farm.agent("one")
        var expected = ""
        try await one.step(key) { path in
            try shell(fill, in: path)
            expected = try listing(path)
        }
        let direct = try #require(await farm.coordinator.addresses["one"])
        let port = try #require(direct.split(separator: ":").last.flatMap { UInt16($0) })
        let proxy = try CuttingProxy(to: port, budgets: budgets, flips: flips)
        await farm.coordinator.register("one", "127.0.0.1:\(proxy.port)")
        return (one, proxy, direct, expected)
    }

    private func kept(_ farm: TestFarm, _ agent: String) throws -> [String] {
        var found: [String] = []
        let root = "\(farm.directory)/\(agent)"
        for volume in try VolumeFiles.names(in: root) {
            found += try VolumeFiles.names(in: "\(root)/\(volume)").filter { $0.contains("kept-") || $0.contains("tmp-") }.map {
                "\(volume)/\($0)"
            }
        }
        return found
    }

    @Test(arguments: [false, true]) func `a transfer whose connection is cut or damaged goes on where it was`(flips: Bool) async throws {
        try await TestFarm.with { farm in
            let (one, proxy, _, expected) = try await holder(farm, behind: [1_500_000, 1_500_000], flips: flips)
            let two = try await farm.agent("two")
            let lease = try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(lease.notes.isEmpty)
            #expect(two.store.generation(of: key) == 1)
            // Two times one and a half had come; what was on its way at each cut is lost.
            #expect(proxy.passed > whole)
            #expect(lease.bytesReceived < 3_000_000)
            #expect(try kept(farm, "two").isEmpty)
            proxy.close()
            await one.stop()
            await two.stop()
        }
    }

    @Test func `what is kept of a transfer counts, also after a start, and goes before volumes do`() async throws {
        try await TestFarm.with { farm in
            let (one, proxy, direct, expected) = try await holder(farm, behind: [3_500_000] + dead)
            let two = try await farm.agent("two")
            try await two.step(key)
            #expect(try !kept(farm, "two").isEmpty)
            let held = two.service.heldBytes
            #expect(held > 1_000_000 && held < Int64(whole) + 200_000, "\(held)")
            let again = try VolumeStore(directory: two.store.directory)
            #expect(again.extraBytes() > 1_000_000)
            #expect(await two.service.giveBackSpares(1) > 1_000_000)
            #expect(try kept(farm, "two").isEmpty && two.service.heldBytes == 0)
            proxy.close()
            await farm.coordinator.register("one", direct)
            try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            await one.stop()
            await two.stop()
        }
    }

    @Test func `what arrived is kept where it can't be published, and does not come again`() async throws {
        try await TestFarm.with { farm in
            let (one, proxy, _, expected) = try await holder(farm, behind: [])
            let two = try await farm.agent("two")
            // Where the new state is to be written.
            let obstacle = two.store.directory(of: key) + "/state.new"
            try shell("mkdir -p '\(obstacle)'", in: farm.directory)
            try await two.step(key)
            #expect(two.store.generation(of: key) == 0)
            #expect(try !kept(farm, "two").isEmpty)
            try shell("rmdir '\(obstacle)'", in: farm.directory)
            try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(two.store.generation(of: key) == 1)
            #expect(proxy.passed > whole)
            #expect(proxy.passed < whole + whole / 2, "no file came twice")
            #expect(try kept(farm, "two").isEmpty)
            proxy.close()
            await one.stop()
            await two.stop()
        }
    }

    @Test func `what is kept makes room where the disk is short of it, the oldest first`() throws {
        let directory = "/tmp/farm-kept-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(directory, 0o700)
        defer { try? RemoveTree.remove(directory) }
        let kept = KeptTransfers(directory: directory)
        for transfer in ["tmp-1", "tmp-2"] {
            try shell(
                "mkdir -p \(transfer)/d/e; for i in 1 2 3; do echo $i > \(transfer)/d/f$i; echo $i > \(transfer)/d/e/g$i; done",
                in: directory)
            try kept.begin("\(directory)/\(transfer)", DeltaManifest())
            try kept.keep("\(directory)/\(transfer)")
        }
        func files() -> Int {
            ["kept-1/d", "kept-1/d/e", "kept-2/d", "kept-2/d/e"].reduce(0) { sum, name in
                sum + ((try? VolumeFiles.names(in: "\(directory)/\(name)").filter { $0 != "e" }.count) ?? 0)
            }
        }
        try kept.makeRoom { false }
        #expect(files() == 12)
        try kept.makeRoom { files() > 8 }
        #expect(files() == 8)
        #expect(try VolumeFiles.names(in: "\(directory)/kept-2/d") == ["e", "f1", "f2", "f3"], "the newer one is whole")
        #expect(try kept.contents().count == 2)
        try kept.makeRoom { files() > 5 }
        #expect(files() == 5)
        try kept.makeRoom { true }
        #expect(try VolumeFiles.names(in: directory).isEmpty)
    }

    @Test func `a large file goes on where it was, and not upon a beginning that is damaged`() async throws {
        try await TestFarm.with { farm in
            let size = 40_000_000
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("head -c \(size) /dev/urandom > big", in: $0) }
            let direct = try #require(await farm.coordinator.addresses["one"])
            let port = try #require(direct.split(separator: ":").last.flatMap { UInt16($0) })
            let first = try CuttingProxy(to: port, budgets: [25_000_000])
            await farm.coordinator.register("one", "127.0.0.1:\(first.port)")
            let two = try await farm.agent("two")
            let check = "cmp big $(ls -d '\(farm.directory)'/one/*/g1-1/big)"
            let lease = try await two.step(key) { try shell(check, in: $0) }
            #expect(lease.notes.isEmpty)
            #expect(lease.bytesReceived < 25_000_000, "fifteen and what was on its way")
            first.close()
            await two.stop()
            // Every connection is cut, and what is left is spoilt.
            let second = try CuttingProxy(to: port, budgets: [15_000_000] + dead)
            await farm.coordinator.register("one", "127.0.0.1:\(second.port)")
            let three = try await farm.agent("three")
            let failed = try await three.step(key)
            #expect(!failed.notes.isEmpty)
            second.close()
            try shell(
                "printf x | dd of=$(ls -d */kept-*/big | head -1) conv=notrunc bs=1 seek=5000 status=none", in: "\(farm.directory)/three")
            await farm.coordinator.register("one", direct)
            let again = try await three.step(key) { try shell(check, in: $0) }
            #expect(again.notes.isEmpty)
            #expect(again.bytesReceived > size, "the rest in vain, and then all of it")
            #expect(try kept(farm, "three").isEmpty)
            await one.stop()
            await three.stop()
        }
    }

    @Test func `what arrived before the agent was killed is not sent again, by whichever holder, and what is damaged is`() async throws {
        try await TestFarm.with { farm in
            let (one, proxy, direct, expected) = try await holder(farm, behind: [3_000_000] + dead)
            let three = try await farm.agent("three")
            let two = try await farm.agent("two")
            let failed = try await two.step(key)
            #expect(!failed.notes.isEmpty)
            #expect(two.store.generation(of: key) == 0)
            let left = try kept(farm, "two")
            #expect(left.count == 2)
            await two.stop()
            // As a kill leaves it, and with one file that the disk has spoilt.
            let staging = try #require(left.first { !$0.hasSuffix(".wanted") })
            let root = "\(farm.directory)/two"
            try shell(
                """
                mv \(staging) $(dirname \(staging))/tmp-1; mv \(staging).wanted $(dirname \(staging))/tmp-1.wanted
                cd $(dirname \(staging))/tmp-1/d; printf x | dd of=f1 conv=notrunc bs=1 seek=50000 status=none
                """, in: root)
            // Another holder: it got the volume when the connection was good.
            await farm.coordinator.register("one", direct)
            try await three.step(key)
            await one.stop()
            let again = try await farm.agent("two")
            let lease = try await again.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(lease.bytesReceived > 900_000)
            #expect(lease.bytesReceived < 3_000_000, "all but what was on its way had arrived")
            #expect(try kept(farm, "two").isEmpty)
            proxy.close()
            await again.stop()
            await three.stop()
        }
    }
}
