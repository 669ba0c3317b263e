import BlockingIO
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
            // What was on its way at each cut is lost: less than the pipe between the socket and the files holds.
            #expect(proxy.passed > whole)
            #expect(proxy.passed < whole + 2 * BytePipe.defaultCapacity)
            #expect(try kept(farm, "two").isEmpty)
            proxy.close()
            await one.stop()
            await two.stop()
        }
    }

    @Test func `what arrived before the agent was killed is not sent again, by whichever holder, and what is damaged is`() async throws {
        try await TestFarm.with { farm in
            let (one, proxy, direct, expected) = try await holder(farm, behind: [3_000_000, 100, 100, 100, 100, 100, 100])
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
            #expect(lease.bytesReceived < 2_000_000, "most had arrived")
            #expect(try kept(farm, "two").isEmpty)
            proxy.close()
            await again.stop()
            await three.stop()
        }
    }
}
