import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

/// Large files move as their changed blocks, into a copy that was made before.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(3)))
struct LargeFileTests {
    let key = VolumeKey.test("large")

    private func inode(_ path: String) -> UInt64 {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_ino) : 0
    }

    private func sum(_ path: String, in directory: String) throws -> String {
        try shell("sha256sum < '\(path)' > \(directory)/sum", in: directory)
        return String(decoding: try VolumeFiles.read("\(directory)/sum", upTo: 100), as: UTF8.self)
    }

    private func names(_ agent: TestAgent, _ name: String) throws -> [String] {
        try VolumeFiles.names(in: "\(agent.store.directory(of: key))/\(name)")
    }

    private static let edit = "for i in 1 7 30 31 66; do printf change | dd of=big bs=1 seek=$((i*1000000)) conv=notrunc status=none; done"

    @Test func `a large file becomes its next version in its spare, and the old generation stays`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("head -c 67500000 /dev/urandom > big", in: $0) }
            try await two.step(key)
            await two.service.settle()
            let spare = try #require(try names(two, "spares").first)
            let spareInode = inode("\(two.store.directory(of: key))/spares/\(spare)")
            let before = try #require(two.store.snapshot(of: key))
            let oldFile = "\(before.layers[0])/big"
            let oldSum = try sum(oldFile, in: farm.directory)
            var expected = ""
            try await one.step(key) { path in
                try shell(Self.edit + "; head -c 5000 /dev/zero >> big; chmod 640 big", in: path)
                expected = try listing(path)
            }
            let lease = try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(lease.bytesReceived < 40_000, "five blocks of noise and one of zeros")
            let layer = try #require(two.store.snapshot(of: key)?.layers.last)
            #expect(inode("\(layer)/big") == spareInode)
            let newSum = try sum(oldFile, in: farm.directory)
            #expect(newSum == oldSum)
            await two.service.settle()
            let next = try names(two, "spares")
            #expect(next.count == 1 && next != [spare], "a spare of the new version, and of no other")
            await one.service.settle()
            let own = try names(one, "spares")
            #expect(own == next, "the agent that changed it follows with its own")
            // Shorter, and without a spare.
            try shell("rm spares/*", in: two.store.directory(of: key))
            try await one.step(key) { path in
                try shell("truncate -s 40000001 big; printf again | dd of=big bs=1 seek=9000000 conv=notrunc status=none", in: path)
                expected = try listing(path)
            }
            let shorter = try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(shorter.bytesReceived < 20_000)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `spares are given back first, made again, and left out where nobody wants them`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { try shell("head -c 67200000 /dev/urandom > big", in: $0) }
            await one.service.settle()
            let held = one.service.heldBytes
            #expect(held > 134_400_000, "spares count")
            #expect(await one.service.giveBackSpares(1) > 67_000_000)
            #expect(try names(one, "spares").isEmpty)
            // What is left beside the file is the list of its blocks: a 128th.
            let lists = one.service.heldBytes - 67_200_000
            #expect(lists > 67_200_000 / 129 && lists < 67_200_000 / 100, "\(lists)")
            try await one.step(key) { try shell("printf x >> big", in: $0) }
            await one.service.settle()
            #expect(try names(one, "spares").count == 1)
            await one.stop()
            var settings = VolumeSettings()
            settings.spareFiles = 0
            let store = try VolumeStore(directory: one.store.directory, settings: settings)
            try store.maintain(key)
            #expect(try names(one, "spares").isEmpty)
            #expect(store.extras.withLock { $0.values.allSatisfy { $0.spares == 0 } })
        }
    }

    @Test func `what lies below the newest generation counts, until it goes`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            for _ in 1...3 { try await one.step(key) { try shell("head -c 3000000 /dev/urandom > file", in: $0) } }
            await one.service.settle()
            #expect(one.store.size(of: key).bytes == 3_000_000)
            #expect(one.service.heldBytes == 9_000_000, "three versions are on the disk")
            await one.stop()
            var settings = VolumeSettings()
            settings.hiddenBytes = 0
            let store = try VolumeStore(directory: one.store.directory, settings: settings)
            #expect(store.extraBytes() == 6_000_000, "also after a start")
            try store.maintain(key)
            #expect(store.extraBytes() == 0)
        }
    }

    @Test func `holes stay holes, whatever their size, and what is too large is left out`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            // 30 GiB would take half a minute to hash, and a quarter of one to send as zeros.
            try await one.step(key) { path in
                try shell(
                    "truncate -s 30G holes; "
                        + "for at in 0 4097 1000000000 20000000123; do printf some | dd of=holes bs=1 seek=$at conv=notrunc status=none; done",
                    in: path)
                try shell("truncate -s 5T large; truncate -s 9M nothing; echo 1 > f", in: path)
            }
            let lease = try await two.step(key) { path in
                try shell(
                    "for at in 0 4097 1000000000 20000000123; do test \"$(dd if=holes bs=1 skip=$at count=4 status=none)\" = some; done",
                    in: path)
                try shell("test $(stat -c %s holes) = $((30 << 30)); test $(stat -c %b holes) -lt 1000", in: path)
                try shell("test $(stat -c %b nothing) = 0", in: path)
                try shell("test ! -e large; test $(cat f) = 1", in: path)
            }
            #expect(lease.bytesReceived < 20_000)
            await two.service.settle()
            let lists = try names(two, "blocks")
            #expect(lists.isEmpty, "a list would be larger than what is in the file")
            try await two.step(key) { try shell("printf more | dd of=holes bs=1 seek=29000000000 conv=notrunc status=none", in: $0) }
            try await one.step(key) { try shell("test $(dd if=holes bs=1 skip=29000000000 count=4 status=none) = more", in: $0) }
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a damaged list of blocks costs the whole file and nothing else`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("head -c 67500000 /dev/urandom > big", in: $0) }
            try await two.step(key)
            await two.service.settle()
            try shell("printf damage | dd of=$(echo blocks/*) bs=1 seek=64000 conv=notrunc status=none", in: two.store.directory(of: key))
            var expected = ""
            try await one.step(key) { path in
                try shell(Self.edit, in: path)
                expected = try listing(path)
            }
            let lease = try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(lease.notes.isEmpty)
            await one.stop()
            await two.stop()
        }
    }
}
