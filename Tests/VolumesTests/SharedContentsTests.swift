import BuildPlan
import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

/// What a project's volumes have in common on an agent does not come a second time.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct SharedContentsTests {
    private func key(_ id: String, project: String = "p") -> VolumeKey {
        VolumeKey(project: project, id: id, platform: Platform(os: "linux", architecture: "amd64"))
    }

    /// One agent has the volumes `old`, `new` and another project's `new`, which begin with the same files; the other has `old`.
    private func agents(_ farm: TestFarm) async throws -> (one: TestAgent, two: TestAgent) {
        let one = try await farm.agent("one")
        let two = try await farm.agent("two")
        let store = "\(farm.directory)/files"
        mkdir(store, 0o700)
        try shell("mkdir d; for i in $(seq 30); do head -c 50000 /dev/urandom > d/f$i; done; ln d/f1 d/hard", in: store)
        for key in [key("old"), key("new"), key("new", project: "other")] {
            try await one.step(key) { path in
                try shell("cp -a '\(store)/d' . ; echo '\(key.id)' > own", in: path)
                // Another owner: the same content, but no file to link to.
                if key.id == "new" { try shell("chown 7:7 d/f2", in: path) }
            }
        }
        try await two.step(key("old"))
        await two.service.settle()
        return (one, two)
    }

    private func inode(_ agent: TestAgent, _ key: VolumeKey, _ name: String) throws -> stat {
        var status = stat()
        let layer = try #require(agent.store.snapshot(of: key)?.layers.first)
        try #require(lstat("\(layer)/\(name)", &status) == 0)
        return status
    }

    @Test func `contents of another volume of the project are linked where all metadata agrees, and copied where not`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = try await agents(farm)
            var expected = ""
            try await one.step(key("new")) { expected = try listing($0) }
            let lease = try await two.step(key("new")) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(lease.bytesReceived < 10_000)
            #expect(try inode(two, key("new"), "d/f3").st_ino == inode(two, key("old"), "d/f3").st_ino)
            #expect(try inode(two, key("new"), "d/f2").st_ino != inode(two, key("old"), "d/f2").st_ino)
            #expect(try inode(two, key("old"), "d/f2").st_uid == 0, "a link would have changed the other volume")
            #expect(try inode(two, key("new"), "d/f1").st_nlink == 2, "names of one inode are this volume's only")
            // And what one volume loses the other keeps.
            await two.service.drop(key("old"))
            try await two.step(key("new")) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a file of a time that no number of nanoseconds tells is taken from another volume as any other`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            let content = "\(farm.directory)/content"
            try shell("head -c 50000 /dev/urandom > '\(content)'", in: farm.directory)
            // Each agent has it in a layer that it made itself, with the time as the file system keeps it.
            for (agent, volume) in [(one, "old"), (two, "new")] {
                try await agent.step(key(volume)) { path in
                    try shell("cp '\(content)' late; touch -d 2400-01-01 late", in: path)
                }
                await agent.service.settle()
            }
            let lease = try await one.step(key("new")) { path in
                try shell("cmp '\(content)' late", in: path)
            }
            #expect(lease.bytesReceived < 10_000, "what is here already does not come again")
            await one.stop()
            await two.stop()
        }
    }

    @Test func `contents of another project are never looked at`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = try await agents(farm)
            let lease = try await two.step(key("new", project: "other"))
            #expect(lease.bytesReceived > 1_400_000)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `the index is there after a start, and what is damaged on the disk is fetched`() async throws {
        try await TestFarm.with { farm in
            let (one, first) = try await agents(farm)
            let layer = try #require(first.store.snapshot(of: key("old"))?.layers.first)
            await first.stop()
            // One that would be copied and, with the time that it had, one that would be linked.
            for file in ["d/f2", "d/f3"] {
                try shell(
                    "touch -r \(file) ../time; printf x | dd of=\(file) conv=notrunc bs=1 seek=500 status=none; touch -r ../time \(file)",
                    in: layer)
            }
            var expected = ""
            try await one.step(key("new")) { expected = try listing($0) }
            let two = try await farm.agent("two")
            let lease = try await two.step(key("new")) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(lease.bytesReceived > 100_000)
            #expect(lease.bytesReceived < 110_000)
            // Of a removed volume nothing is found any more.
            await two.service.drop(key("old"))
            await two.service.drop(key("new"))
            #expect(try await two.step(key("new")).bytesReceived > 1_400_000)
            await one.stop()
            await two.stop()
        }
    }
}
